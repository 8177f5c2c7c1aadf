//! Bodies: small ones whole, large ones piece by piece.

use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// `blocking_write_and_flush` takes at most this much.
const PIECE_BYTES: usize = 4096;

/// A small answer.
pub struct Answer {
    status: u16,
    content_type: &'static str,
    location: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    pub fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            location: None,
            body: text.into(),
        }
    }

    pub fn json(status: u16, value: &(impl serde::Serialize + ?Sized)) -> Self {
        let body = serde_json::to_vec(value).expect("notes are texts under numbers");
        Self {
            status,
            content_type: "application/json",
            location: None,
            body,
        }
    }

    pub fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }
}

pub fn respond(outparam: ResponseOutparam, answer: &Answer) {
    let mut headers = vec![("content-type", answer.content_type)];
    headers.extend(answer.location.as_deref().map(|place| ("location", place)));
    send(outparam, answer.status, &headers, |out| {
        answer
            .body
            .chunks(PIECE_BYTES)
            .try_for_each(|piece| out.blocking_write_and_flush(piece))
    });
}

/// The whole body of a small request.
pub fn read_all(request: &IncomingRequest) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    each_piece(request, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })
    .map_err(|e| format!("the body broke off: {e}\n"))?;
    Ok(bytes)
}

/// Sends the request's body back, each piece as it arrives.
pub fn echo(request: &IncomingRequest, outparam: ResponseOutparam) {
    send(
        outparam,
        200,
        &[("content-type", "application/octet-stream")],
        |out| {
            each_piece(request, |piece| {
                piece
                    .chunks(PIECE_BYTES)
                    .try_for_each(|part| out.blocking_write_and_flush(part))
            })
        },
    );
}

/// So many MiB, without ever holding more than a piece of them. The reader sets the pace.
pub fn big(mib: u32, outparam: ResponseOutparam) {
    let piece: Vec<u8> = (0..PIECE_BYTES)
        .map(|place| b'a' + (place % 26) as u8)
        .collect();
    let pieces = u64::from(mib) * ((1 << 20) / PIECE_BYTES as u64);
    send(
        outparam,
        200,
        &[("content-type", "application/octet-stream")],
        |out| (0..pieces).try_for_each(|_| out.blocking_write_and_flush(&piece)),
    );
}

fn each_piece(
    request: &IncomingRequest,
    mut take: impl FnMut(&[u8]) -> Result<(), StreamError>,
) -> Result<(), StreamError> {
    let body = request.consume().expect("a request's body is read once");
    let stream: InputStream = body.stream().expect("a body has one stream");
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => take(&piece)?,
            Err(StreamError::Closed) => return Ok(()),
            Err(broken) => return Err(broken),
        }
    }
}

fn send(
    outparam: ResponseOutparam,
    status: u16,
    headers: &[(&str, &str)],
    write: impl FnOnce(&OutputStream) -> Result<(), StreamError>,
) {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let response =
        OutgoingResponse::new(Fields::from_list(&headers).expect("the headers are well formed"));
    response
        .set_status_code(status)
        .expect("the status is valid");
    let body = response.body().expect("a response has one body");
    ResponseOutparam::set(outparam, Ok(response));
    let out = body.write().expect("a body has one stream");
    // A client that has gone away is no reason to trap: the grain keeps its notes.
    let written = write(&out);
    drop(out);
    if written.is_ok() && OutgoingBody::finish(body, None).is_err() {
        eprintln!("the answer was cut off");
    }
}
