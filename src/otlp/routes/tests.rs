//! Routes and mirrors, to sinks and to back ends that do not answer.

use http::header::HeaderMap;

use super::*;
use crate::otlp::Signal;
use crate::otlp::testing::Kept;

fn options(text: &str) -> Options {
    toml::from_str(text).unwrap()
}

fn problems(text: &str) -> Vec<String> {
    options(text).problems().iter().map(ToString::to_string).collect()
}

fn batch(tenant: &str, slug: &str) -> Batch {
    Batch {
        signal: Signal::Logs,
        tenant: tenant.into(),
        slug: Some(slug.into()),
        correlation: "c".into(),
        body: bytes::Bytes::from(vec![0; 100]).into(),
        items: 1,
        stripped: 0,
        trace: HeaderMap::new(),
    }
}

fn routes(text: &str) -> (Routes, Kept, Arc<Metrics>) {
    let (kept, metrics) = (Kept::default(), Arc::new(Metrics::new().unwrap()));
    let lines: Arc<dyn Lines> = Arc::new(kept.clone());
    (Routes::new(&options(text), lines, &metrics).unwrap(), kept, metrics)
}

async fn copied(metrics: &Metrics, outcome: &str, count: u64) {
    for _ in 0..500 {
        if metrics.otlp_mirrored.with_label_values(&[outcome]).get() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not {count} copies {outcome}:\n{}", metrics.text());
}

const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn every_problem_of_a_route_is_told() {
    let route = |rest: &str| format!("backend = \"sink\"\n[[routes]]\n{rest}\n");
    let sound = route("tenant = \"acme\"\nurl = \"https://otlp.example.com/otlp\"\nheaders.x-env = \"prod\"");
    assert_eq!(problems(&sound), Vec::<String>::new());
    for (text, part) in [
        (route("tenant = \"*\"\nurl = \"sink\""), "takes the place"),
        (route("tenant = \"\"\nurl = \"sink\""), "tenant"),
        (route("tenant = \"a\"\nurl = \"ftp://x\""), "[0]: must be"),
        (route("tenant = \"a\"\nurl = \"sink\"\nca_file = \"/no/such/file\""), "/no/such/file"),
        (route("tenant = \"a\"\nurl = \"sink\"\nheaders.X-Scope-OrgID = \"b\""), "headers"),
        (route("tenant = \"a\"\nurl = \"sink\"\nheaders.grpc-timeout = \"1S\""), "headers"),
        (route("tenant = \"a\"\nurl = \"sink\"\nheaders.x-a = \"b\\nc\""), "headers"),
        (
            route("tenant = \"a\"\nurl = \"sink\"\n[[routes]]\ntenant = \"a\"\nurl = \"sink\""),
            "[1]: the tenant",
        ),
        ("[[routes]]\ntenant = \"a\"\nurl = \"sink\"".to_owned(), "all other tenants"),
    ] {
        let told = problems(&text);
        assert!(told.len() == 1 && told[0].contains(part), "{text}: {told:?}");
    }
    let mirrors = "tenant = \"a\"\nurl = \"sink\"\nmirror = true\n";
    assert_eq!(problems(&route(&format!("{mirrors}[[routes]]\n{mirrors}"))), Vec::<String>::new());
}

#[tokio::test]
async fn the_tenants_own_route_goes_before_that_of_everyone() {
    let (routes, kept, _) = routes(&format!(
        "[[routes]]\ntenant = \"*\"\nurl = \"sink\"\n[[routes]]\ntenant = \"tenant_1\"\nurl = \"{NOWHERE}\"\n\
         [[routes]]\ntenant = \"acme\"\nurl = \"{NOWHERE}\"\n"
    ));
    let export = |tenant, slug| routes.export(batch(tenant, slug), Duration::from_secs(5));
    export("tenant_2", "umbrella").await.unwrap();
    assert!(export("tenant_1", "umbrella").await.is_err(), "by its id");
    assert!(export("tenant_2", "acme").await.is_err(), "by its short name");
    assert_eq!(kept.lines().len(), 1);
}

#[tokio::test]
async fn mirrors_get_copies_of_everyone_or_of_one_tenant() {
    let (routes, kept, metrics) = routes(
        "backend = \"sink\"\n[[routes]]\ntenant = \"*\"\nurl = \"sink\"\nmirror = true\n\
         [[routes]]\ntenant = \"acme\"\nurl = \"sink\"\nmirror = true\n",
    );
    routes.copies(&batch("tenant_1", "acme")).go();
    copied(&metrics, "sent", 2).await;
    routes.copies(&batch("tenant_2", "umbrella")).go();
    copied(&metrics, "sent", 3).await;
    let of = |slug| kept.lines().iter().filter(|line| line.contains(slug)).count();
    assert_eq!((of("acme"), of("umbrella")), (2, 1));
}

#[tokio::test]
async fn a_mirror_that_does_not_keep_up_loses_copies_and_holds_no_more_than_its_bound() {
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/otlp", silent.local_addr().unwrap());
    let (routes, _, metrics) = routes(&format!(
        "backend = \"sink\"\nmirror_queue_bytes = 1000\nforward_timeout_ms = 300\n\
         [[routes]]\ntenant = \"*\"\nurl = \"{url}\"\nmirror = true\n"
    ));
    for _ in 0..25 {
        routes.copies(&batch("tenant_1", "acme")).go();
    }
    assert_eq!(metrics.otlp_mirrored.with_label_values(&["dropped"]).get(), 15, "ten of a hundred bytes fit");
    copied(&metrics, "failed", 10).await;
    routes.copies(&batch("tenant_1", "acme")).go();
    copied(&metrics, "failed", 11).await;
}
