//! A TCP proxy in front of a server, which can go silent, hold bytes back, be slow or cut its connections.
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that are passed on at once.
const CHUNK: usize = 16 * 1024;

/// What the proxy does with bytes and connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything.
    Pass,
    /// Ends every connection, and each new one at once.
    Cut,
    /// Takes bytes and connections and lets nothing through, as a lost network does; what was open is lost.
    Hole,
    /// Holds everything back, and passes it on late.
    Hold,
    /// Holds every second connection back, as when packets of some are lost.
    HoldHalf,
    /// Passes requests, and holds their answers back.
    Mute,
    /// Passes everything this much later, each way.
    Slow(Duration),
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

impl Mode {
    /// Whether it passes bytes that way on the connection of this number.
    fn passes(self, way: Way, number: u64) -> bool {
        match self {
            Self::HoldHalf => number.is_multiple_of(2),
            Self::Pass | Self::Slow(_) => true,
            Self::Mute => way == Way::There,
            Self::Cut | Self::Hole | Self::Hold => false,
        }
    }

    fn delay(self) -> Duration {
        if let Self::Slow(delay) = self { delay } else { Duration::ZERO }
    }
}

/// A proxy for one port; it ends with the test's runtime.
pub struct Proxy {
    port: u16,
    target: Arc<AtomicU16>,
    mode: Arc<watch::Sender<Mode>>,
}

impl Proxy {
    /// A proxy that passes everything to `target`.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", super::ports::free())).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let target = Arc::new(AtomicU16::new(target));
        let (modes, targets) = (mode.clone(), target.clone());
        let mut number = 0;
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                number += 1;
                tokio::spawn(serve(near, number, targets.clone(), modes.subscribe()));
            }
        });
        Self { port, target, mode }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what it does, for open connections too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Sends new connections to another port.
    pub fn point_at(&self, target: u16) {
        self.target.store(target, Ordering::SeqCst);
    }
}

async fn serve(near: TcpStream, number: u64, target: Arc<AtomicU16>, mut mode: watch::Receiver<Mode>) {
    let first = mode.wait_for(|mode| *mode == Mode::Cut || mode.passes(Way::There, number)).await;
    if first.map_or(Mode::Cut, |mode| *mode) == Mode::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect(("127.0.0.1", target.load(Ordering::SeqCst))).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    let there = pump(from_near, to_far, mode.clone(), (Way::There, number));
    let back = pump(from_far, to_near, mode.clone(), (Way::Back, number));
    let mut passing = pin!(async { tokio::try_join!(there, back) });
    tokio::select! {
        _ = &mut passing => return,
        () = breaks(&mut mode) => {}
    }
    // Bytes may have been lost half-way, so a connection that was silenced never comes back.
    let _ = mode.wait_for(|mode| *mode != Mode::Hole).await;
}

/// Passes bytes on in one direction until they end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    (way, number): (Way, u64),
) -> io::Result<()> {
    let mut bytes = vec![0; CHUNK];
    loop {
        let length = from.read(&mut bytes).await?;
        let delay = mode.borrow().delay();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        mode.wait_for(|mode| mode.passes(way, number)).await.map_err(io::Error::other)?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..length]).await?;
    }
}

async fn breaks(mode: &mut watch::Receiver<Mode>) {
    let _ = mode.wait_for(|mode| matches!(mode, Mode::Cut | Mode::Hole)).await;
}

/// The harness's own proof.
mod tests {
    use super::{Mode, Proxy};
    use std::time::{Duration, Instant};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// Sends a byte and waits a moment for it to come back.
    async fn echoes(stream: &mut TcpStream) -> Option<bool> {
        stream.write_all(b"x").await.ok()?;
        heard(stream).await
    }

    async fn heard(stream: &mut TcpStream) -> Option<bool> {
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read_u8());
        read.await.ok().map(|byte| byte.is_ok())
    }

    /// A proxy before a server that sends back what it gets.
    async fn before_an_echo() -> Proxy {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = echo.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        Proxy::start(port).await
    }

    #[tokio::test]
    async fn it_passes_falls_silent_and_cuts() {
        let proxy = before_an_echo().await;
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

    #[tokio::test]
    async fn it_can_be_led_elsewhere() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(silent.local_addr().unwrap().port()).await;
        assert_eq!(echoes(&mut TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()).await, None);
        proxy.point_at(before_an_echo().await.port());
        let mut open = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        assert_eq!(echoes(&mut open).await, Some(true));
    }

    #[tokio::test]
    async fn it_holds_back_and_delivers_late() {
        let proxy = before_an_echo().await;
        for mode in [Mode::Hold, Mode::Mute] {
            let mut open = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
            assert_eq!(echoes(&mut open).await, Some(true));
            proxy.set(mode);
            assert_eq!(echoes(&mut open).await, None);
            proxy.set(Mode::Pass);
            assert_eq!(heard(&mut open).await, Some(true));
        }
        let mut open = Vec::new();
        for _ in 0..2 {
            open.push(TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap());
            assert_eq!(echoes(open.last_mut().unwrap()).await, Some(true));
        }
        proxy.set(Mode::HoldHalf);
        let passed = [echoes(&mut open[0]).await, echoes(&mut open[1]).await];
        assert_eq!(passed.into_iter().flatten().count(), 1);
        proxy.set(Mode::Slow(Duration::from_millis(50)));
        let mut open = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        let start = Instant::now();
        assert_eq!(echoes(&mut open).await, Some(true));
        assert!(start.elapsed() >= Duration::from_millis(100));
    }
}
