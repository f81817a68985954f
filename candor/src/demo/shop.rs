//! The shop: a storefront in Node, a cart in Python, a payment service in Go; visitors, and what goes wrong.

use candor_model::Timestamp;
use serde_json::{Value, json};

use super::dice::Dice;
use super::wire::{Service, Wire, attributes, nanos};

const STOREFRONT: Service =
    Service { name: "storefront", version: "4.12.1", hosts: &["web-1", "web-2", "web-3"], sdk: "nodejs" };
const CART: Service = Service { name: "cart", version: "2.8.0", hosts: &["cart-1", "cart-2"], sdk: "python" };
const PAYMENTS: Service = Service { name: "payments", version: "1.19.3", hosts: &["pay-1"], sdk: "go" };

const PRODUCTS: &[&str] =
    &["espresso-machine", "grinder", "kettle", "filter-papers", "mug-blue", "beans-1kg", "scale"];
const PAGES: &[&str] = &["/", "/search", "/product", "/product", "/product", "/cart", "/checkout"];
const AGENTS: &[&str] = &["Firefox 141", "Chrome 139", "Safari 18.5", "Chrome Mobile 139"];
const CARDS: &[&str] = &["4111 1111 1111 1111", "5500 0000 0000 0004", "3400 000000 00009"];

/// When, in the share of the span, the payment provider has its bad quarter of an hour.
const OUTAGE: std::ops::Range<f64> = 0.62..0.68;

/// When the faulty release of the cart is out.
const BAD_RELEASE: std::ops::Range<f64> = 0.35..0.55;

pub(crate) struct Shop {
    pub(crate) dice: Dice,
}

/// One request through the shop.
struct Visit {
    at: Timestamp,
    trace: String,
    person: Person,
    page: &'static str,
    product: &'static str,
}

struct Person {
    id: String,
    email: String,
}

impl Shop {
    pub(crate) fn new(dice: Dice) -> Shop {
        Shop { dice }
    }

    /// One visitor's request, all the way down.
    pub(crate) fn visit(&mut self, at: Timestamp, progress: f64, wire: &mut Wire<'_>) {
        let number = self.dice.below(400);
        let visit = Visit {
            at,
            trace: self.dice.hex(32),
            person: Person { id: format!("u-{number}"), email: format!("customer{number}@example.com") },
            page: self.dice.pick::<&str>(PAGES),
            product: self.dice.pick::<&str>(PRODUCTS),
        };
        let host = *self.dice.pick(STOREFRONT.hosts);
        let root = self.dice.hex(16);
        let mut took = self.dice.latency_us(40_000);
        let mut failed = false;
        if matches!(visit.page, "/cart" | "/checkout") {
            let (cart_took, cart_failed) = self.cart(&visit, &root, progress, wire);
            took += cart_took;
            failed = cart_failed;
        }
        let status = if failed { 500 } else { 200 };
        wire.span(
            STOREFRONT,
            host,
            json!({
                "traceId": visit.trace, "spanId": root, "name": format!("GET {}", visit.page), "kind": 2,
                "startTimeUnixNano": nanos(at), "endTimeUnixNano": nanos(plus(at, took)),
                "attributes": attributes(&[
                    ("http.request.method", "GET".into()),
                    ("url.path", visit.page.into()),
                    ("http.response.status_code", json!(status)),
                    ("user.id", visit.person.id.clone().into()),
                ]),
                "status": { "code": if failed { 2 } else { 1 } },
            }),
        );
        let agent = *self.dice.pick(AGENTS);
        wire.logflare(json!({
            "message": format!("GET {} {status} {} ms", visit.page, took / 1000),
            "timestamp": plus(at, took).to_string(),
            "metadata": {
                "level": if failed { "error" } else { "info" },
                "service": "storefront", "host": host, "path": visit.page, "status": status,
                "duration_ms": took as f64 / 1000.0, "trace_id": visit.trace, "browser": agent,
                "user": { "id": visit.person.id },
            },
        }));
        if visit.page == "/search" && self.dice.chance(0.02) {
            self.search_error(&visit, wire);
        }
    }

    fn cart(&mut self, visit: &Visit, parent: &str, progress: f64, wire: &mut Wire<'_>) -> (u64, bool) {
        let host = *self.dice.pick(CART.hosts);
        let span = self.dice.hex(16);
        let at = plus(visit.at, 3_000);
        let mut took = self.dice.latency_us(15_000);
        let items = 1 + self.dice.below(6);
        let mut failed = false;
        wire.log(
            CART,
            host,
            json!({
                "timeUnixNano": nanos(at), "severityNumber": 9, "severityText": "INFO",
                "body": { "stringValue": format!("loaded cart with {items} items, first {}", visit.product) },
                "traceId": visit.trace, "spanId": span,
                "attributes": attributes(&[
                    ("cart.items", json!(items)),
                    ("user.id", visit.person.id.clone().into()),
                    ("product", visit.product.into()),
                ]),
            }),
        );
        if BAD_RELEASE.contains(&progress) && self.dice.chance(0.12) {
            failed = true;
            self.cart_error(visit, &span, host, wire);
        }
        if visit.page == "/checkout" && !failed {
            let (pay_took, pay_failed) = self.payment(visit, &span, progress, wire);
            took += pay_took;
            failed = pay_failed;
        }
        wire.span(CART, host, json!({
            "traceId": visit.trace, "spanId": span, "parentSpanId": parent,
            "name": if visit.page == "/checkout" { "cart.checkout" } else { "cart.load" }, "kind": 2,
            "startTimeUnixNano": nanos(at), "endTimeUnixNano": nanos(plus(at, took)),
            "attributes": attributes(&[("cart.items", json!(items)), ("db.system.name", "postgresql".into())]),
            "status": { "code": if failed { 2 } else { 0 } },
        }));
        (took + 3_000, failed)
    }

    fn payment(&mut self, visit: &Visit, parent: &str, progress: f64, wire: &mut Wire<'_>) -> (u64, bool) {
        let host = *self.dice.pick(PAYMENTS.hosts);
        let span = self.dice.hex(16);
        let at = plus(visit.at, 9_000);
        let outage = OUTAGE.contains(&progress);
        let failed = outage && self.dice.chance(0.7) || self.dice.chance(0.01);
        let took = if failed { 3_000_000 + self.dice.below(200_000) } else { self.dice.latency_us(180_000) };
        let cents = 900 + self.dice.below(40_000);
        let order = self.dice.hex(8);
        let (severity, word, body) = if failed {
            (17, "ERROR", format!("charge of order {order} timed out after 3000 ms"))
        } else {
            // What careless code really logs: the gate takes the card out.
            let card = *self.dice.pick(CARDS);
            let body =
                format!("charged card {card} {}.{:02} EUR for order {order}", cents / 100, cents % 100);
            (9, "INFO", body)
        };
        wire.log(
            PAYMENTS,
            host,
            json!({
                "timeUnixNano": nanos(plus(at, took)), "severityNumber": severity, "severityText": word,
                "body": { "stringValue": body }, "traceId": visit.trace, "spanId": span,
                "attributes": attributes(&[
                    ("order", order.clone().into()),
                    ("amount", json!(cents as f64 / 100.0)),
                    ("user.email", visit.person.email.clone().into()),
                    ("provider", "acquirer-eu".into()),
                ]),
            }),
        );
        if failed && self.dice.chance(0.5) {
            self.payment_error(visit, &span, host, &order, wire);
        }
        wire.span(PAYMENTS, host, json!({
            "traceId": visit.trace, "spanId": span, "parentSpanId": parent, "name": "POST acquirer/charges", "kind": 3,
            "startTimeUnixNano": nanos(at), "endTimeUnixNano": nanos(plus(at, took)),
            "attributes": attributes(&[("order", order.into()), ("server.address", "acquirer.example".into())]),
            "status": { "code": if failed { 2 } else { 1 } },
        }));
        (took, failed)
    }

    /// What a shop says when nobody visits.
    pub(crate) fn background(&mut self, at: Timestamp, wire: &mut Wire<'_>) {
        let moment = plus(at, self.dice.below(60_000_000));
        if self.dice.chance(0.5) {
            let rows = self.dice.below(5_000);
            wire.better_stack(json!({
                "dt": moment.to_string(), "level": "info", "message": format!("stock synchronised, {rows} rows"),
                "service": "cart", "job": "stock-sync", "rows": rows, "duration_ms": self.dice.below(4_000),
            }));
        }
        if self.dice.chance(0.08) {
            wire.better_stack(json!({
                "dt": moment.to_string(), "level": "warn", "message": "connection pool is at 90 %",
                "service": "cart", "pool": { "size": 20, "busy": 18 },
            }));
        }
        if self.dice.chance(0.03) {
            let host = *self.dice.pick(PAYMENTS.hosts);
            wire.log(PAYMENTS, host, json!({
                "timeUnixNano": nanos(moment), "severityNumber": 13, "severityText": "WARN",
                "body": { "stringValue": "retrying webhook with Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl" },
                "attributes": attributes(&[("attempt", json!(2)), ("webhook", "order.paid".into())]),
            }));
        }
    }

    fn cart_error(&mut self, visit: &Visit, span: &str, host: &str, wire: &mut Wire<'_>) {
        let event = self.event(visit, span, json!({
            "platform": "python", "level": "error", "server_name": host, "transaction": "cart.load",
            "release": "cart@2.8.0", "sdk": { "name": "sentry.python", "version": "2.35.0" },
            "exception": { "values": [{
                "type": "KeyError", "value": format!("'{}'", visit.product), "module": "builtins",
                "mechanism": { "type": "wsgi", "handled": false },
                "stacktrace": { "frames": [
                    frame("flask/app.py", "wsgi_app", 1511, "response = self.full_dispatch_request()", false),
                    frame("cart/views.py", "load_cart", 84, "total = pricing.total(items)", true),
                    frame("cart/pricing.py", "total", 41, "price = self.prices[item.sku]", true),
                ] },
            }] },
            "breadcrumbs": { "values": [
                { "timestamp": seconds(visit.at), "category": "query", "message": "SELECT * FROM items WHERE cart = %s" },
                { "timestamp": seconds(plus(visit.at, 2_000)), "category": "cache", "message": "prices: miss", "level": "warning" },
            ] },
            "extra": { "items": 3, "password": "hunter2" },
        }));
        wire.event(&event);
    }

    fn payment_error(&mut self, visit: &Visit, span: &str, host: &str, order: &str, wire: &mut Wire<'_>) {
        let event = self.event(visit, span, json!({
            "platform": "go", "level": "fatal", "server_name": host, "transaction": "POST /charges",
            "release": "payments@1.19.3", "sdk": { "name": "sentry.go", "version": "0.35.1" },
            "exception": { "values": [{
                "type": "*url.Error",
                "value": format!("Post \"https://acquirer.example/charges\": context deadline exceeded (order {order})"),
                "stacktrace": { "frames": [
                    frame("net/http/server.go", "ServeHTTP", 2220, "handler.ServeHTTP(rw, req)", false),
                    frame("payments/charge.go", "Charge", 117, "resp, err := c.client.Do(req)", true),
                ] },
            }] },
        }));
        wire.event(&event);
    }

    fn search_error(&mut self, visit: &Visit, wire: &mut Wire<'_>) {
        let span = self.dice.hex(16);
        let agent = *self.dice.pick(AGENTS);
        let event = self.event(visit, &span, json!({
            "platform": "javascript", "level": "error", "transaction": "/search", "release": "storefront@4.12.1",
            "sdk": { "name": "sentry.javascript.browser", "version": "10.5.0" },
            "request": { "url": "https://shop.example/search?q=kettle", "headers": { "User-Agent": agent } },
            "exception": { "values": [{
                "type": "TypeError", "value": "Cannot read properties of undefined (reading 'hits')",
                "mechanism": { "type": "generic", "handled": false },
                "stacktrace": { "frames": [
                    frame("node_modules/react-dom/client.js", "callCallback", 4164, "fn.apply(context, args)", false),
                    frame("src/search/Results.tsx", "Results", 32, "const { hits } = answer.data;", true),
                ] },
            }] },
            "breadcrumbs": { "values": [
                { "timestamp": seconds(visit.at), "category": "ui.click", "message": "button#search" },
                { "timestamp": seconds(plus(visit.at, 40_000)), "category": "fetch", "type": "http",
                  "data": { "method": "GET", "url": "/api/search?q=kettle", "status_code": 204 } },
            ] },
        }));
        wire.event(&event);
    }

    /// What every event has, with its own fields over it.
    fn event(&mut self, visit: &Visit, span: &str, own: Value) -> Value {
        let mut event = json!({
            "event_id": self.dice.hex(32),
            "timestamp": seconds(plus(visit.at, 12_000)),
            "environment": "production",
            "user": { "id": visit.person.id, "email": visit.person.email, "ip_address": "203.0.113.7" },
            "contexts": { "trace": { "trace_id": visit.trace, "span_id": span } },
            "tags": { "page": visit.page, "product": visit.product },
        });
        if let (Some(event), Value::Object(own)) = (event.as_object_mut(), own) {
            event.extend(own);
        }
        event
    }
}

fn plus(at: Timestamp, micros: u64) -> Timestamp {
    Timestamp(at.0 + micros as i64)
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e6
}

fn frame(file: &str, function: &str, line: u32, code: &str, in_app: bool) -> Value {
    json!({
        "filename": file, "abs_path": format!("/srv/{file}"), "module": file.rsplit_once('.').map(|(stem, _)| stem.replace('/', ".")),
        "function": function, "lineno": line, "context_line": format!("    {code}"), "in_app": in_app,
        "pre_context": ["", "    # …"], "post_context": ["    return result", ""],
    })
}
