//! Tries everything that needs a grant, by the standard library where it can.

mod fetch;

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use exports::test::probe::probe::Guest;

wit_bindgen::generate!({ path: "wit", world: "grain" });

struct Probe;

impl Guest for Probe {
    fn environment() -> Vec<(String, String)> {
        std::env::vars().collect()
    }

    fn arguments() -> Vec<String> {
        std::env::args().collect()
    }

    fn directories() -> Vec<String> {
        wasip2::filesystem::preopens::get_directories()
            .into_iter()
            .map(|(_, path)| path)
            .collect()
    }

    fn list_directory(path: String) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(path).map_err(|e| e.to_string())?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<String> = names
            .collect::<std::io::Result<_>>()
            .map_err(|e| e.to_string())?;
        names.sort();
        Ok(names)
    }

    fn read_file(path: String) -> Result<String, String> {
        fs::read_to_string(path).map_err(|e| e.to_string())
    }

    fn write_file(path: String, text: String) -> Result<(), String> {
        fs::write(path, text).map_err(|e| e.to_string())
    }

    fn remove_file(path: String) -> Result<(), String> {
        fs::remove_file(path).map_err(|e| e.to_string())
    }

    fn connect(address: String) -> Result<(), String> {
        TcpStream::connect(address)
            .map(drop)
            .map_err(|e| e.to_string())
    }

    fn listen(address: String) -> Result<(), String> {
        TcpListener::bind(address)
            .map(drop)
            .map_err(|e| e.to_string())
    }

    fn fetch(method: String, url: String) -> Result<(u16, String), String> {
        fetch::fetch(&method, &url)
    }

    fn wall_clock() -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }

    fn monotonic_clock() -> u64 {
        wasip2::clocks::monotonic_clock::now()
    }

    fn random() -> u64 {
        wasip2::random::random::get_random_u64()
    }

    fn log(out: String, err: String) {
        println!("{out}");
        eprintln!("{err}");
    }

    fn stdin() -> Result<String, String> {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|e| e.to_string())?;
        Ok(text)
    }
}

export!(Probe);
