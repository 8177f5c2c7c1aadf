//! Replies that are looked at while they come.

use reqwest::{RequestBuilder, Response};

use super::within;

/// What is sent when there is nothing to say.
pub(crate) const COMMENT: &str = ":";

/// A reply that is still coming.
pub(crate) struct Flow {
    response: Response,
    rest: Vec<u8>,
}

impl Flow {
    /// Sends a request and waits for the head of its reply, which must be a success.
    pub(crate) async fn send(request: RequestBuilder) -> Self {
        let response = within("the head of the reply", request.send())
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{response:?}");
        Self {
            response,
            rest: Vec::new(),
        }
    }

    /// A header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// What comes before the next mark. `Ok(None)`: the reply has ended as it should. `Err`: it was broken off.
    pub(crate) async fn next(&mut self, mark: &str) -> Result<Option<String>, reqwest::Error> {
        loop {
            let mut windows = self.rest.windows(mark.len());
            if let Some(at) = windows.position(|window| window == mark.as_bytes()) {
                let mut whole: Vec<u8> = self.rest.drain(..at + mark.len()).collect();
                whole.truncate(at);
                return Ok(Some(String::from_utf8(whole).unwrap()));
            }
            match within("the next piece", self.response.chunk()).await? {
                Some(piece) => self.rest.extend_from_slice(&piece),
                None => {
                    assert_eq!(self.rest, b"", "half an item");
                    return Ok(None);
                }
            }
        }
    }

    /// The next line.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.next("\n").await.unwrap()
    }

    /// The next server-sent event. Comments are none.
    pub(crate) async fn event(&mut self) -> Option<String> {
        loop {
            let part = self.next("\n\n").await.unwrap();
            if part.as_deref() != Some(COMMENT) {
                return part;
            }
        }
    }

    /// The lines until the end.
    pub(crate) async fn lines(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        lines
    }
}
