//! Has a resource in a signature.

use exports::test::resourceful::files::{self, Guest, GuestFile};

wit_bindgen::generate!({ path: "wit", world: "grain" });

struct Files;

struct File {
    name: String,
}

impl Guest for Files {
    type File = File;

    fn open(name: String) -> files::File {
        files::File::new(File { name })
    }

    fn ping() -> String {
        "pong".to_owned()
    }
}

impl GuestFile for File {
    fn new(name: String) -> Self {
        Self { name }
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

export!(Files);
