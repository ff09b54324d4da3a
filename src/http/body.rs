//! Reading of request bodies. The whole body is read before any token is checked. The size of the
//! body and the time for its arrival are limited.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use hyper::header::{self, HeaderMap};

use crate::problem::{Code, Problem};

/// A body has at most 16 KiB. The largest valid body has a password of 256 characters and a captcha
/// of 4 KiB.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// The time within which the whole body has to arrive.
pub const BODY_WITHIN: Duration = Duration::from_secs(15);

/// Reads the whole body.
///
/// This function stores only the bytes of the body, which are 16 KiB at most, whatever the framing
/// is. The pieces of a body are joined as they arrive, because 16 384 separate pieces of one byte
/// need 32 times as much memory as one joined body.
///
/// # Errors
/// [`Code::BodyTooLarge`] if the body is over the limit. If `Content-Length` shows this, nothing is
/// read. [`Code::RequestTimeout`] if the body does not arrive in time. [`Code::MalformedRequest`]
/// if the framing of the body is invalid.
pub(super) async fn read<B>(body: B, headers: &HeaderMap) -> Result<Bytes, Problem>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if told.and_then(|told| told.parse::<usize>().ok()).is_some_and(|told| told > BODY_BYTES_MAX) {
        return Err(Code::BodyTooLarge.into());
    }
    match tokio::time::timeout(BODY_WITHIN, collect(body)).await {
        Ok(collected) => collected,
        Err(_) => Err(Code::RequestTimeout.into()),
    }
}

async fn collect<B>(body: B) -> Result<Bytes, Problem>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::new(Code::MalformedRequest).because(error))?;
        // Trailers are ignored.
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes::Buf::remaining(&data);
        if length > BODY_BYTES_MAX - whole.len() {
            return Err(Code::BodyTooLarge.into());
        }
        bytes::BufMut::put(&mut whole, data);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    async fn read_pieces(size: usize, count: usize) -> Result<Bytes, Code> {
        let pieces = (0..count)
            .map(move |_| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'a'; size]))));
        let body = StreamBody::new(futures_util::stream::iter(pieces));
        read(body, &HeaderMap::new()).await.map_err(|problem| problem.code)
    }

    #[tokio::test]
    async fn pieces_are_bounded_together() {
        assert_eq!(read_pieces(1, BODY_BYTES_MAX).await.unwrap().len(), BODY_BYTES_MAX);
        assert_eq!(read_pieces(1, BODY_BYTES_MAX + 1).await, Err(Code::BodyTooLarge));
        assert_eq!(read_pieces(BODY_BYTES_MAX, 2).await, Err(Code::BodyTooLarge));
        assert_eq!(read_pieces(BODY_BYTES_MAX + 1, 1).await, Err(Code::BodyTooLarge));
        assert_eq!(read_pieces(0, 1000).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_length_that_is_told_is_believed_before_anything_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, (BODY_BYTES_MAX + 1).into());
        let refused = read(Full::new(Bytes::from("{}")), &headers).await.unwrap_err();
        assert_eq!(refused.code, Code::BodyTooLarge);
    }
}
