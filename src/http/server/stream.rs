//! Answers that are written while they are read, however long they are.

use std::io::{self, BufWriter, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// How many pieces wait to be read; then the writer waits.
const PIECES: usize = 4;

/// How many bytes are sent together
const PIECE: usize = 64 * 1024;

/// A body that a thread writes.
pub(crate) struct Pipe(mpsc::Receiver<io::Result<Bytes>>);

impl Pipe {
    /// Lets `write` fill a body in its own thread. If it returns false or panics, the response is aborted, so that no
    /// client takes a part for the whole.
    ///
    /// # Errors
    /// `Internal` if no thread can be started.
    pub(crate) fn fill(write: impl FnOnce(&mut dyn Write) -> bool + Send + 'static) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(PIECES);
        let fill = move || {
            let end = End(sender);
            let mut out = BufWriter::with_capacity(PIECE, Pieces(&end.0));
            let is_whole = write(&mut out) && out.flush().is_ok();
            // What is still held back of a part is not sent.
            drop(out.into_parts());
            if is_whole {
                end.come();
            }
        };
        // Not a pooled thread: a client may read slowly.
        std::thread::Builder::new().name("pipe".to_owned()).spawn(fill).map_err(Error::internal)?;
        Ok(Self(receiver))
    }
}

struct Pieces<'s>(&'s mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(piece)));
        sent.map(|()| piece.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of a body: one that does not come breaks it off.
struct End(mpsc::Sender<io::Result<Bytes>>);

impl End {
    fn come(self) {
        // The other side sees no more senders, and no failure.
        let (other, _) = mpsc::channel(1);
        let mut end = self;
        drop(std::mem::replace(&mut end.0, other));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // In the thread that fills the body, which waits as it did with each piece.
        let _ = self.0.blocking_send(Err(io::ErrorKind::UnexpectedEof.into()));
    }
}

impl Body for Pipe {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
