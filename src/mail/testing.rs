//! Stand-ins for tests: a clock, a letter, a mail server.

use crate::domain::letters::{Letter, Letters, LinkBase};
use crate::domain::{Clock, Moment, Timestamp};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A clock that stands.
pub struct Fixed;

impl Clock for Fixed {
    fn moment(&self) -> Moment {
        Moment { wall: Timestamp::from_micros(1_767_225_600_000_000), monotonic: 1 }
    }
}

/// A letter with this token in its link.
pub fn letter(token: &str) -> Letter {
    let letters = Letters::new(LinkBase::parse("https://id.example.com").unwrap());
    letters.password_reset("ada@example.com".parse().unwrap(), token)
}

/// What is logged.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Captures everything that this thread logs for as long as the guard lives.
    pub fn start(&self) -> tracing::subscriber::DefaultGuard {
        let here = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || here.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A mail server that speaks as much of RFC 5321 as letters need.
#[derive(Clone, Default)]
pub struct MailServer {
    /// All lines that clients sent, data included.
    pub heard: Arc<Mutex<Vec<String>>>,
    /// Answers to `RCPT`, one after the other; then 250.
    pub answers: Arc<Mutex<Vec<&'static str>>>,
}

impl MailServer {
    /// Serves until the test ends; gives its URL.
    pub async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().speak(stream));
            }
        });
        url
    }

    /// The lines that were heard.
    pub fn lines(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    async fn speak(self, stream: TcpStream) {
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        writing.write_all(b"220 test\r\n").await.unwrap();
        let mut in_data = false;
        while let Ok(Some(line)) = lines.next_line().await {
            self.heard.lock().unwrap().push(line.clone());
            let answer = match line.split(' ').next().unwrap() {
                "." if in_data => {
                    in_data = false;
                    "250 taken"
                }
                _ if in_data => continue,
                "DATA" => {
                    in_data = true;
                    "354 go on"
                }
                "RCPT" => self.answers.lock().unwrap().pop().unwrap_or("250 yes"),
                "QUIT" => "221 bye",
                _ => "250 yes",
            };
            writing.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
    }
}
