//! A connected byte stream: TCP, within this process, simulated, or TLS over any of them, so that
//! drivers need not care.
//!
//! An idle TLS stream holds its keys and one small buffer; what has been decrypted and not yet read
//! counts as readable. Not here: deadlines and bounds (the drivers, with `clock`); making
//! connections (`network`); handshakes (`tls`).

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

#[cfg(any(test, feature = "simulation"))]
use crate::pipe::PipeEnd;

/// Octets both ways. Implements tokio's `AsyncRead` and `AsyncWrite`; shutting it down closes our
/// direction only, dropping it closes both.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    /// The other end is on this machine.
    Local(UnixStream),
    Tls(Box<TlsStream<Stream>>),
    /// By OpenSSL, for old devices.
    #[cfg(feature = "legacy-tls")]
    Legacy(Box<tokio_openssl::SslStream<Stream>>),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(PipeEnd),
}

impl Stream {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self(Kind::Tcp(stream))
    }

    /// To a host by the machine's own resolver: for who has no server around them.
    pub async fn connect(host: &str, port: u16) -> io::Result<Self> {
        Ok(Self::tcp(TcpStream::connect((host, port)).await?))
    }

    /// Two that are connected to each other within this process.
    pub fn local_pair() -> io::Result<(Self, Self)> {
        let (near, far) = UnixStream::pair()?;
        Ok((Self(Kind::Local(near)), Self(Kind::Local(far))))
    }

    /// To a socket of this machine.
    pub(crate) async fn local(path: &Path) -> io::Result<Self> {
        Ok(Self(Kind::Local(UnixStream::connect(path).await?)))
    }

    pub(crate) fn tls(stream: TlsStream<Self>) -> Self {
        Self(Kind::Tls(Box::new(stream)))
    }

    #[cfg(feature = "legacy-tls")]
    pub(crate) fn legacy(stream: tokio_openssl::SslStream<Self>) -> Self {
        Self(Kind::Legacy(Box::new(stream)))
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
    /// idle connection costs no buffer. With TLS a read may still find only part of a record.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(stream) => stream.readable().await,
            Kind::Local(stream) => stream.readable().await,
            Kind::Tls(stream) => {
                let (inner, connection) = stream.get_ref();
                if connection.wants_read() {
                    Box::pin(inner.readable()).await
                } else {
                    Ok(())
                }
            }
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(stream) => {
                if stream.ssl().pending() > 0 {
                    Ok(())
                } else {
                    Box::pin(stream.get_ref().readable()).await
                }
            }
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => {
                end.readable().await;
                Ok(())
            }
        }
    }

    /// Reads what is there without waiting; `WouldBlock` if nothing is, 0 once the peer closed its
    /// direction.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.try_read(buffer),
            Kind::Local(stream) => stream.try_read(buffer),
            Kind::Tls(stream) => read_now(Pin::new(stream), buffer),
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(stream) => read_now(Pin::new(stream), buffer),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => end.try_read(buffer),
        }
    }

    /// Writes what the peer has room for without waiting; `WouldBlock` if it has none. Always so
    /// with TLS, whose records leave as a whole: write and flush there.
    pub fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Tcp(stream) => stream.try_write(octets),
            Kind::Local(stream) => stream.try_write(octets),
            Kind::Tls(_) => Err(io::ErrorKind::WouldBlock.into()),
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(_) => Err(io::ErrorKind::WouldBlock.into()),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => end.try_write(octets),
        }
    }
}

/// A read that does not wait, of a stream that can only be polled.
fn read_now(stream: Pin<&mut impl AsyncRead>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut buffer = ReadBuf::new(buffer);
    let mut context = Context::from_waker(Waker::noop());
    match stream.poll_read(&mut context, &mut buffer) {
        Poll::Ready(read) => read.map(|()| buffer.filled().len()),
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
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
            Kind::Local(stream) => Pin::new(stream).poll_read(context, buffer),
            Kind::Tls(stream) => cut_off_is_end(Pin::new(stream).poll_read(context, buffer)),
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(stream) => cut_off_is_end(Pin::new(stream).poll_read(context, buffer)),
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
            Kind::Local(stream) => Pin::new(stream).poll_write(context, octets),
            Kind::Tls(stream) => Pin::new(stream).poll_write(context, octets),
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(stream) => Pin::new(stream).poll_write(context, octets),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(end) => end.poll_write(context, octets),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Kind::Local(stream) => Pin::new(stream).poll_flush(context),
            Kind::Tls(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Kind::Local(stream) => Pin::new(stream).poll_shutdown(context),
            Kind::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(stream) => Pin::new(stream).poll_shutdown(context),
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
            Kind::Local(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Kind::Tls(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
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
            Kind::Local(stream) => stream.is_write_vectored(),
            Kind::Tls(stream) => stream.is_write_vectored(),
            #[cfg(feature = "legacy-tls")]
            Kind::Legacy(stream) => stream.is_write_vectored(),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(_) => false,
        }
    }
}

/// A peer that closes without the farewell of TLS (RFC 8446 §6.1), as many do behind QUIT, has
/// closed: whoever reads knows from SMTP whether something is missing.
fn cut_off_is_end(read: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
    match read {
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Poll::Ready(Ok(()))
        }
        other => other,
    }
}
