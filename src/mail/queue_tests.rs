use super::*;
use crate::domain::clock::fixed::Counting;
use crate::mail::testing::{Captured, Fixed, MailServer, letter};
use rustls::crypto::aws_lc_rs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tokio::net::TcpListener;

fn over_smtp(url: String) -> Options {
    Options {
        transport: Transport::Smtp,
        smtp_url: Some(url.into()),
        from: Some("Doorward <no-reply@example.com>".to_owned()),
        attempts: 3,
        retry_ms: 20,
        send_timeout_ms: 500,
        ..Options::default()
    }
}

fn opened(options: &Options) -> (Arc<Queue>, Carrying, Arc<Metrics>) {
    assert_eq!(options.faults(), Vec::<String>::new());
    let metrics = Arc::new(Metrics::new().unwrap());
    let (queue, carrying) =
        start(options, Arc::new(Fixed), Arc::new(Counting::default()), Arc::clone(&metrics)).unwrap();
    (queue, carrying, metrics)
}

fn counts(metrics: &Metrics) -> [u64; 4] {
    ["delivered", "failed", "refused", "discarded"].map(|it| metrics.letters.with_label_values(&[it]).get())
}

/// An address that nobody listens at.
async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// The count once it has reached `least`, or 5 seconds have passed, and what
/// the server has still to take in has been taken in.
async fn settled(count: &AtomicU32, least: u32) -> u32 {
    for _ in 0..500 {
        if count.load(Ordering::Relaxed) >= least {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    count.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_letter_arrives() {
    let server = MailServer::default();
    let (queue, carrying, metrics) = opened(&over_smtp(server.serve().await));
    queue.post(letter("abc")).unwrap();
    queue.post(letter("def")).unwrap();
    carrying.finish(Duration::from_secs(10)).await;
    assert_eq!(counts(&metrics), [2, 0, 0, 0]);
    let lines = server.lines();
    for line in [
        "MAIL FROM:<no-reply@example.com>",
        "RCPT TO:<ada@example.com>",
        "To: ada@example.com",
        "Subject: Choose a new password for id.example.com",
        "https://id.example.com/reset-password#token=abc",
        "https://id.example.com/reset-password#token=def",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line} in {lines:#?}");
    }
    // Nothing is taken any more, and nobody is told otherwise.
    assert_eq!(queue.post(letter("ghi")), Err(Full));
}

#[tokio::test]
async fn a_server_that_is_down_ends_in_a_failure_after_a_bounded_time() {
    let (queue, carrying, metrics) = opened(&over_smtp(format!("smtp://{}", closed().await)));
    queue.post(letter("abc")).unwrap();
    carrying.finish(Duration::from_secs(10)).await;
    assert_eq!(counts(&metrics), [0, 1, 0, 0]);
}

#[tokio::test]
async fn tries_are_as_many_as_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (queue, carrying, metrics) = opened(&over_smtp(format!("smtp://{}", listener.local_addr().unwrap())));
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    queue.post(letter("abc")).unwrap();
    carrying.finish(Duration::from_secs(10)).await;
    assert_eq!((settled(&tries, 3).await, counts(&metrics)), (3, [0, 1, 0, 0]));
}

// The chain ends in no root that this machine trusts.
#[tokio::test]
async fn a_server_that_cannot_prove_its_name_gets_no_letter() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtps://{}", listener.local_addr().unwrap());
    let hellos = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&hellos);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            assert!(acceptor.accept(stream).await.is_err(), "the client went on");
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (queue, carrying, metrics) = opened(&over_smtp(url));
    queue.post(letter("abc")).unwrap();
    carrying.finish(Duration::from_secs(10)).await;
    assert_eq!((settled(&hellos, 3).await, counts(&metrics)), (3, [0, 1, 0, 0]));
}

#[tokio::test]
async fn the_log_tells_of_failures_and_of_no_person() {
    let captured = Captured::default();
    let _logging = captured.start();
    let server = MailServer::default();
    *server.answers.lock().unwrap() =
        vec!["550 <ada@example.com> is unknown", "450 <ada@example.com> is full"];
    let (queue, carrying, _metrics) = opened(&over_smtp(server.serve().await));
    queue.post(letter("abc123")).unwrap();
    carrying.finish(Duration::from_secs(10)).await;
    let log = captured.text();
    assert!(log.contains("550") && log.contains("450") && log.contains("given up"), "{log}");
    for personal in ["ada", "abc123", "password", "reset"] {
        assert!(!log.contains(personal), "{personal} in {log}");
    }
}

#[tokio::test]
async fn the_transport_for_trying_out_shows_the_link() {
    let captured = Captured::default();
    let _logging = captured.start();
    let (queue, carrying, metrics) = opened(&Options { transport: Transport::Log, ..Options::default() });
    queue.post(letter("abc123")).unwrap();
    carrying.finish(Duration::from_secs(10)).await;
    assert_eq!(counts(&metrics), [1, 0, 0, 0]);
    assert!(captured.text().contains("https://id.example.com/reset-password#token=abc123"));
    assert!(captured.text().contains("not for production"));
}

#[tokio::test]
async fn a_server_that_is_silent_ends_in_a_failure_after_a_bounded_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options =
        Options { send_timeout_ms: 100, ..over_smtp(format!("smtp://{}", silent.local_addr().unwrap())) };
    let (queue, carrying, metrics) = opened(&options);
    queue.post(letter("abc")).unwrap();
    carrying.finish(Duration::from_secs(10)).await;
    assert_eq!(counts(&metrics), [0, 1, 0, 0]);
}

#[tokio::test]
async fn what_may_get_better_is_tried_again_and_what_will_not_is_not() {
    for (answers, tries, expected) in [
        (vec!["450 later", "450 later"], 3, [1, 0, 0, 0]),
        (vec!["450 later"; 9], 3, [0, 1, 0, 0]),
        (vec!["550 no such user"; 9], 1, [0, 1, 0, 0]),
    ] {
        let server = MailServer::default();
        *server.answers.lock().unwrap() = answers;
        let (queue, carrying, metrics) = opened(&over_smtp(server.serve().await));
        queue.post(letter("abc")).unwrap();
        carrying.finish(Duration::from_secs(10)).await;
        assert_eq!(counts(&metrics), expected);
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("RCPT")).count(), tries);
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { queue: 3, ..over_smtp(format!("smtp://{}", silent.local_addr().unwrap())) };
    let (queue, _carrying, metrics) = opened(&options);
    // The task does not run before this test waits, so that the queue alone takes letters.
    let posted: Vec<_> = (0..5).map(|_| queue.post(letter("abc"))).collect();
    assert_eq!(posted, [Ok(()), Ok(()), Ok(()), Err(Full), Err(Full)]);
    assert_eq!(counts(&metrics), [0, 0, 2, 0]);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how long the end takes is what this measures")]
async fn the_end_does_not_wait_for_a_server_longer_than_said() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options =
        Options { send_timeout_ms: 60_000, ..over_smtp(format!("smtp://{}", silent.local_addr().unwrap())) };
    let (queue, carrying, _metrics) = opened(&options);
    queue.post(letter("abc")).unwrap();
    let began = Instant::now();
    carrying.finish(Duration::from_millis(200)).await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn without_mail_letters_are_counted_as_discarded() {
    let (queue, carrying, metrics) = opened(&Options::default());
    queue.post(letter("abc")).unwrap();
    carrying.finish(Duration::from_secs(10)).await;
    assert_eq!(counts(&metrics), [0, 0, 0, 1]);
}
