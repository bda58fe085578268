//! A back end for trying things out: each batch becomes one line of text.

use std::io::Write;

use super::forward::Batch;
use crate::domain::{Failure, Fault};

/// Where the lines go.
pub trait Lines: Send + Sync {
    /// Writes one line, which has no line break in it.
    ///
    /// # Errors
    /// It cannot be written.
    fn line(&self, line: &str) -> std::io::Result<()>;
}

/// Lines on standard output.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout;

impl Lines for Stdout {
    fn line(&self, line: &str) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }
}

/// Takes a batch by writing its line.
///
/// # Errors
/// A line that cannot be written was not taken.
pub fn take(lines: &dyn Lines, batch: &Batch) -> Result<(), Failure> {
    lines.line(&describe(batch)).map_err(|error| Fault::new(error).into())
}

fn describe(batch: &Batch) -> String {
    let Batch { signal, tenant, slug, items, stripped, .. } = batch;
    let slug = slug.as_deref().unwrap_or("-");
    let bytes = batch.body.len();
    format!(
        "otlp signal={} tenant={tenant} slug={slug} items={items} bytes={bytes} stripped={stripped}",
        signal.name()
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::otlp::Signal;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Lines for Kept {
        fn line(&self, line: &str) -> std::io::Result<()> {
            self.0.lock().unwrap().push(line.to_owned());
            Ok(())
        }
    }

    struct Broken;

    impl Lines for Broken {
        fn line(&self, _line: &str) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }

    fn batch() -> Batch {
        Batch {
            signal: Signal::Logs,
            tenant: "tenant_1".into(),
            slug: Some("acme".into()),
            correlation: "c".into(),
            body: bytes::Bytes::from_static(b"four").into(),
            items: 3,
            stripped: 1,
            trace: http::HeaderMap::new(),
        }
    }

    #[test]
    fn a_batch_is_one_line() {
        let kept = Kept::default();
        take(&kept, &batch()).unwrap();
        assert_eq!(
            *kept.0.lock().unwrap(),
            ["otlp signal=logs tenant=tenant_1 slug=acme items=3 bytes=4 stripped=1"]
        );
    }

    #[test]
    fn a_line_that_was_not_written_is_not_acknowledged() {
        assert!(matches!(take(&Broken, &batch()), Err(Failure::Fault(_))));
    }
}
