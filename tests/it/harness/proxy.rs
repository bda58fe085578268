//! A TCP proxy in front of a server, which can go silent or cut its connections.
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does with bytes and connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything.
    Pass,
    /// Ends every connection, and each new one at once.
    Cut,
    /// Takes bytes and connections and lets nothing through, as a lost network does.
    Hole,
}

/// A proxy for one port; it ends with the test's runtime.
pub struct Proxy {
    port: u16,
    mode: Arc<watch::Sender<Mode>>,
}

impl Proxy {
    /// A proxy that passes everything to `target`.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", super::ports::free())).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let modes = mode.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(serve(near, target, modes.subscribe()));
            }
        });
        Self { port, mode }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what it does, for open connections too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn serve(mut near: TcpStream, target: u16, mut mode: watch::Receiver<Mode>) {
    let hole = async |mode: &mut watch::Receiver<Mode>| {
        let left = mode.wait_for(|mode| *mode != Mode::Hole).await;
        left.map_or(Mode::Cut, |mode| *mode)
    };
    if hole(&mut mode).await == Mode::Cut {
        return;
    }
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        () = leaves_pass(&mut mode) => {}
    }
    // Bytes may have been lost half-way, so a connection that was silenced never comes back.
    let _ = hole(&mut mode).await;
}

async fn leaves_pass(mode: &mut watch::Receiver<Mode>) {
    let _ = mode.wait_for(|mode| *mode != Mode::Pass).await;
}

/// The harness's own proof.
mod tests {
    use super::{Mode, Proxy};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// Sends a byte and waits a moment for it to come back.
    async fn echoes(stream: &mut TcpStream) -> Option<bool> {
        stream.write_all(b"x").await.ok()?;
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read_u8());
        read.await.ok().map(|byte| byte.is_ok())
    }

    #[tokio::test]
    async fn it_passes_falls_silent_and_cuts() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(echo.local_addr().unwrap().port()).await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let connect = async || TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        let mut open = connect().await;
        assert_eq!(echoes(&mut open).await, Some(true));
        proxy.set(Mode::Hole);
        assert_eq!(echoes(&mut open).await, None);
        assert_eq!(echoes(&mut connect().await).await, None);
        proxy.set(Mode::Pass);
        assert_eq!(echoes(&mut connect().await).await, Some(true));
        assert_ne!(echoes(&mut open).await, Some(true), "what was silenced stays lost");
        let mut open = connect().await;
        assert_eq!(echoes(&mut open).await, Some(true));
        proxy.set(Mode::Cut);
        assert_ne!(echoes(&mut open).await, Some(true));
        assert_ne!(echoes(&mut connect().await).await, Some(true));
    }
}
