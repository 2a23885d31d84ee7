//! A connected byte stream: TCP or simulated. TLS joins here later as a further variant, so that
//! drivers need not change.
//!
//! Not here: deadlines and bounds (the drivers, with `clock`); making connections (`network`).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(any(test, feature = "simulation"))]
use crate::pipe::PipeEnd;

/// Octets both ways. Implements tokio's `AsyncRead` and `AsyncWrite`; shutting it down closes our
/// direction only, dropping it closes both.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(PipeEnd),
}

impl Stream {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self(Kind::Tcp(stream))
    }

    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn simulated(end: PipeEnd) -> Self {
        Self(Kind::Simulated(end))
    }

    /// Two streams in memory that are connected to each other, without latency or faults.
    #[cfg(any(test, feature = "simulation"))]
    pub fn pair() -> (Self, Self) {
        let (near, far) = crate::pipe::pair();
        (Self::simulated(near), Self::simulated(far))
    }

    /// Waits until a read would not block (or the peer closed), holding no buffer meanwhile: an
    /// idle connection costs no buffer.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(stream) => stream.readable().await,
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => {
                end.readable().await;
                Ok(())
            }
        }
    }

    /// Reads what is there without waiting; `WouldBlock` if nothing is, 0 once the peer closed its
    /// direction.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Tcp(stream) => stream.try_read(buffer),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => end.try_read(buffer),
        }
    }

    /// Writes what the peer has room for without waiting; `WouldBlock` if it has none.
    pub fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Tcp(stream) => stream.try_write(octets),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => end.try_write(octets),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => end.poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(context, octets),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => end.poll_write(context, octets),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => {
                end.close();
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => {
                let piece = pieces.iter().find(|piece| !piece.is_empty());
                end.poll_write(context, piece.map_or(&[], |piece| &piece[..]))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(_) => false,
        }
    }
}
