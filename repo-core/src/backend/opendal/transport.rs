//! How requests over HTTP travel.

use super::rate::Rate;
use crate::backend::WEB_PAGE;
use ::http::{Method, Request, Response, Uri, header};
use ::opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use futures_util::stream;
use opendal_http_transport_reqwest::ReqwestTransport;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the service that tells a machine in a cloud who it is. Elsewhere nobody answers under its address.
const MACHINE_TIMEOUT: Duration = Duration::from_secs(2);

/// Addresses of that service with the providers that we speak to.
const MACHINE_HOSTS: [&str; 4] = [
    "169.254.169.254",
    "169.254.170.2",
    "[fd00:ec2::254]",
    "metadata.google.internal",
];

/// What goes out at once where uploads are limited.
const PIECE_BYTES: usize = 16 << 10;

/// Longest answer to a request with a body.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// One client for all requests of a place, which keeps connections open. Heeds `HTTPS_PROXY` and `NO_PROXY`.
pub(super) struct Transport {
    inner: ReqwestTransport,
    /// Whether pages that a server makes up itself are no sign of something between: of WebDAV only what reads is looked at.
    pages_for_writes: bool,
    /// Sends what is limited.
    client: reqwest::Client,
    upload: Option<Arc<Rate>>,
}

impl Transport {
    /// A transport for a service. Fails where the trusted certificates cannot be read.
    pub(super) fn new(service: &str, upload: Option<Arc<Rate>>) -> Result<Self> {
        // Once per process; later ones find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Error::new(ErrorKind::Unexpected, "set up HTTP").set_source(e))?;
        Ok(Self {
            inner: ReqwestTransport::new(client.clone()),
            client,
            upload,
            pages_for_writes: matches!(service, "webdav" | "http"),
        })
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD)
            || request.method() == "PROPFIND";
        if is_of_machine(request.uri()) {
            let asked = tokio::time::timeout(MACHINE_TIMEOUT, self.inner.fetch(request));
            let nobody = |_| Error::new(ErrorKind::Unexpected, "this is no machine of a cloud");
            return asked.await.map_err(nobody)?;
        }
        let response = match &self.upload {
            Some(rate) if !request.body().is_empty() => {
                send_slowly(&self.client, request, Arc::clone(rate)).await?
            }
            _ => self.inner.fetch(request).await?,
        };
        match response.status().is_success()
            && is_page(&response)
            && (reads || !self.pages_for_writes)
        {
            true => Err(Error::new(ErrorKind::Unexpected, WEB_PAGE)),
            false => Ok(response),
        }
    }
}

/// Sends a request with a body that goes out piece by piece, each when its turn has come.
async fn send_slowly(
    client: &reqwest::Client,
    request: Request<Buffer>,
    rate: Arc<Rate>,
) -> Result<Response<HttpBody>> {
    let uri = request.uri().clone();
    let (mut parts, body) = request.into_parts();
    // Without it the body would go out in chunks, which S3 refuses.
    parts
        .headers
        .insert(header::CONTENT_LENGTH, body.len().into());
    let pieces = stream::unfold((body, rate), |(mut left, rate)| async move {
        let piece = left.slice(..left.len().min(PIECE_BYTES));
        if piece.is_empty() {
            return None;
        }
        rate.pass(piece.len()).await;
        left = left.slice(piece.len()..);
        Some((
            Ok::<_, std::convert::Infallible>(piece.to_bytes()),
            (left, rate),
        ))
    });
    let failed = |e: reqwest::Error| {
        Error::new(ErrorKind::Unexpected, "send http request")
            .with_temporary(true)
            .set_source(e.without_url())
    };
    let sent = client
        .request(parts.method, uri.to_string())
        .headers(parts.headers)
        .body(reqwest::Body::wrap_stream(pieces));
    let mut answer = sent.send().await.map_err(failed)?;
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        std::mem::swap(headers, answer.headers_mut());
    }
    let mut bytes = Vec::new();
    while let Some(more) = answer.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&more);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::Unexpected,
                "the answer to a write is too long",
            ));
        }
    }
    let len = bytes.len() as u64;
    let body = HttpBody::new(stream::iter([Ok(Buffer::from(bytes))]), Some(len));
    response
        .body(body)
        .map_err(|e| Error::new(ErrorKind::Unexpected, "the answer makes no sense").set_source(e))
}

fn is_of_machine(uri: &Uri) -> bool {
    uri.host().is_some_and(|host| MACHINE_HOSTS.contains(&host))
}

/// Whether a web page came. Nothing of ours is stored as one.
fn is_page(response: &Response<HttpBody>) -> bool {
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}
