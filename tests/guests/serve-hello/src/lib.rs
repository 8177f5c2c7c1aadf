//! What somebody writes for `wasmtime serve`, with the crate that is meant for it; nothing of Granary.

use wstd::http::body::Body;
use wstd::http::{Error, Request, Response, StatusCode};
use wstd::time::{Duration, Instant};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    match request.uri().path() {
        "/" => Ok(Response::new(
            "Hello, wasi:http/proxy world!\n".to_owned().into(),
        )),
        "/wait" => {
            let began = Instant::now();
            wstd::task::sleep(Duration::from_millis(20)).await;
            let waited = Duration::from_millis(20) <= Instant::now().duration_since(began);
            Ok(Response::new(format!("waited: {waited}").into()))
        }
        "/echo" => Ok(Response::new(request.into_body())),
        _ => {
            let response = Response::builder().status(StatusCode::NOT_FOUND);
            Ok(response.body(Body::empty())?)
        }
    }
}
