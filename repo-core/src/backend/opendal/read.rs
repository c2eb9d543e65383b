//! Reading, with a bound on what comes.

use super::{Answered, OpenDalBackend, error, no_answer, rate};
use crate::backend::name;
use crate::error::Result;
use ::opendal::Buffer;
use ::opendal::BytesRange;
use futures_util::TryStreamExt;

/// What became of a read that nobody stopped.
enum Read {
    All(Vec<u8>),
    /// More came than may.
    TooMuch,
    /// Nothing came for too long.
    Silence,
}

impl OpenDalBackend {
    /// The bytes of an object, or those of a range of it, as far as there are any; at most `bytes_max`.
    ///
    /// A slow answer is waited for as long as something comes within the time for an answer.
    pub(super) fn read(
        &self,
        name: &str,
        range: Option<(u64, u64)>,
        bytes_max: u64,
    ) -> Result<Vec<u8>> {
        let path = self.path(name);
        let read = self.runtime.block_on(self.collect(&path, range, bytes_max));
        match read.map_err(|e| error::error(&e, name, &self.place))? {
            Read::All(bytes) => Ok(bytes),
            Read::Silence => Err(no_answer(name)),
            Read::TooMuch => Err(name::invalid(name, "the object is too long")),
        }
    }

    async fn collect(
        &self,
        path: &str,
        range: Option<(u64, u64)>,
        bytes_max: u64,
    ) -> Answered<Read> {
        let range = range.map_or(BytesRange::default(), |(offset, len)| {
            BytesRange::new(offset, Some(len))
        });
        let begun = async { self.operator.reader(path).await?.into_stream(range).await };
        let Ok(stream) = tokio::time::timeout(self.answer_timeout, begun).await else {
            return Ok(Read::Silence);
        };
        let mut stream = stream?;
        let mut bytes = Vec::new();
        loop {
            let Ok(next) = tokio::time::timeout(self.answer_timeout, stream.try_next()).await
            else {
                return Ok(Read::Silence);
            };
            let Some(next): Option<Buffer> = next? else {
                return Ok(Read::All(bytes));
            };
            if (bytes.len() + next.len()) as u64 > bytes_max {
                return Ok(Read::TooMuch);
            }
            rate::pass(self.download.as_deref(), next.len()).await;
            for part in next {
                bytes.extend_from_slice(&part);
            }
        }
    }
}
