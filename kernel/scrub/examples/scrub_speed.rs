//! Prints how fast scrubbing is: `cargo run --release -p candor-scrub --example scrub_speed [FILE…]`. A file that ends in
//! `.json` is measured as an event, any other as lines of a log. Without files, both are generated. The crate is
//! optimised in the dev profile too, so the figures mean something. Each is measured with the default rules, with every
//! detector there is, and with rules that hold at places.

use std::hint::black_box;

use candor_model::Value;
use candor_model::json::{self, Leniency};
use candor_scrub::{Action, Counts, Detector, RecordKind, Rule, Rules, Run, Scope, Scrubber, Selector};
use candor_testbed::speed::megabytes_a_second;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        // An example is no part of the product: it may read files by itself.
        #[allow(clippy::disallowed_methods)]
        let text = match std::fs::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                eprintln!("{file}: {error}");
                continue;
            }
        };
        if file.ends_with(".json") { event(file, &text) } else { lines(file, &text) }
    }
    if files.is_empty() {
        lines("generated log", &generated_log());
        event("generated dirty event", &generated_event());
    }
}

fn generated_log() -> String {
    let mut log = String::new();
    for n in 0..5000u64 {
        let line = format!(
            "2026-01-02T03:{:02}:{:02}.{:03}Z INFO [worker-{}] org.example.shop.CartService: GET /cart/items/{} answered 200 in {}.{} ms user=u{} trace_id={:032x}\n",
            n / 60 % 60,
            n % 60,
            n % 1000,
            n % 16,
            n * 7919,
            n % 50,
            n % 10,
            n * 31,
            u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c6e_d3b5_a1d7)
        );
        log.push_str(&line);
    }
    log
}

/// An event of about 30 KB as error trackers get them: 40 frames, 60 breadcrumbs, and something to strike in most.
fn generated_event() -> String {
    let frame = |n: usize| {
        format!(
            r#"{{"filename":"/srv/app/shop/views_{n}.py","abs_path":"/srv/app/shop/views_{n}.py","function":"handle_{n}","module":"shop.views_{n}","lineno":{n},"pre_context":["def handle(request):","    cart = Cart.load(request)"],"context_line":"    card = '4111 1111 1111 1111'","post_context":["    return cart.pay(card)"],"vars":{{"request":"<WSGIRequest: POST '/pay?token=abc{n}'>","password":"'hunter2'","n":"{n}"}},"in_app":true}}"#
        )
    };
    let crumb = |n: usize| {
        format!(
            r#"{{"timestamp":17673230{n:02}.678,"type":"http","category":"httplib","level":"info","data":{{"url":"https://jane:hunter2@api.example/v1/items/{n}?q=shoes","method":"GET","status_code":200}},"message":"GET /v1/items/{n} with Authorization: Bearer abcdef0123456789"}}"#
        )
    };
    let frames: Vec<String> = (0..40).map(frame).collect();
    let crumbs: Vec<String> = (0..60).map(crumb).collect();
    format!(
        r#"{{"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","platform":"python","exception":{{"values":[{{"type":"PaymentError","value":"card 4111111111111111 declined for DE89370400440532013000","stacktrace":{{"frames":[{}]}}}}]}},"breadcrumbs":{{"values":[{}]}},"request":{{"url":"https://shop.example/pay","headers":[["Cookie","sid=abc"],["Host","shop.example"]]}}}}"#,
        frames.join(","),
        crumbs.join(",")
    )
}

/// Rules to measure, by name.
fn scrubbers() -> Vec<(&'static str, Scrubber)> {
    let rule = |id: &str, scope: Scope, detectors: Vec<Detector>| Rule {
        id: id.to_owned(),
        detectors,
        action: Action::Remove,
        scope,
    };
    let all =
        || Detector::ALL.into_iter().filter(|detector| *detector != Detector::Whole).collect::<Vec<_>>();
    let mut placed = Rules::default();
    for (id, selector) in
        [("mail", "** && !user.email"), ("vars", "$frame.vars.**"), ("crumbs", "breadcrumbs.**.url")]
    {
        let Ok(selector) = Selector::parse(selector) else { continue };
        placed.rules.push(rule(id, Scope::At(selector), vec![Detector::Email]));
    }
    let rules = [
        ("default", Rules::default()),
        ("every detector", Rules::of(vec![rule("all", Scope::Everywhere, all())])),
        ("at places", placed),
    ];
    rules.into_iter().filter_map(|(name, rules)| Some((name, Scrubber::new(rules).ok()?))).collect()
}

fn lines(name: &str, text: &str) {
    let all: Vec<&str> = text.lines().collect();
    for (rules, scrubber) in scrubbers() {
        let struck = all.iter().filter(|line| scrubber.scrub_str(line, &mut Counts::new()).is_some()).count();
        let scrub_all = |lines: &Vec<&str>| {
            lines.iter().for_each(|line| drop(black_box(scrubber.scrub_str(line, &mut Counts::new()))));
        };
        let speed = megabytes_a_second(text.len(), || &all, scrub_all);
        println!(
            "{name}, {rules}: {} lines, {} bytes, {struck} struck: {speed:.0} MB/s",
            all.len(),
            text.len()
        );
    }
}

fn event(name: &str, text: &str) {
    let value = match json::parse(text.as_bytes(), Leniency::LENIENT) {
        Ok(value) => value,
        Err(error) => return eprintln!("{name}: {error}"),
    };
    let bytes = json::to_string(&value).len();
    for (rules, scrubber) in scrubbers() {
        let scrub = |value: &mut Value, counts: &mut Counts| {
            scrubber.value_at(&[], value, &mut Run::new(counts).of(RecordKind::Error));
        };
        let measure = |value: &Value| {
            let scrubbed = |mut copy: Value| {
                scrub(&mut copy, &mut Counts::new());
                copy
            };
            megabytes_a_second(bytes, || value.clone(), scrubbed)
        };
        let (mut scrubbed, mut counts) = (value.clone(), Counts::new());
        scrub(&mut scrubbed, &mut counts);
        println!(
            "{name}, {rules}: {bytes} bytes, {} struck: {:.0} MB/s, once it is clean {:.0} MB/s",
            counts.total(),
            measure(&value),
            measure(&scrubbed)
        );
    }
}
