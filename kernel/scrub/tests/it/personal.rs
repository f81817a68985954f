//! What tells of persons and devices: what is found, and what is left alone.

use candor_scrub::{Action, Counts, Detector, Rule, Rules, Scope, Scrubber};
use expect_test::{Expect, expect};

/// Everything that a policy may ask for, removed.
pub(crate) fn all() -> Scrubber {
    let detectors = Detector::ALL.into_iter().filter(|detector| *detector != Detector::Whole).collect();
    let rule = Rule { id: "all".to_owned(), detectors, action: Action::Remove, scope: Scope::Everywhere };
    Scrubber::new(Rules::of(vec![rule])).expect("fine rules")
}

fn check(inputs: &str, expected: Expect) {
    let scrubber = all();
    let mut out = String::new();
    for line in inputs.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let once = scrubber.scrub_str(line, &mut Counts::new());
        if let Some(once) = &once {
            assert_eq!(scrubber.scrub_str(once, &mut Counts::new()), None, "twice is once: {once}");
        }
        out.push_str(&once.unwrap_or_else(|| format!("same: {line}")));
        out.push('\n');
    }
    expected.assert_eq(&out);
}

#[test]
fn phones() {
    check(
        r#"
        call +14155550132 or +1 (415) 555-0132 or +44 (0)20 7123 4567, +44 (20) 7123 4567; +33 1 42 68 53 00.
        +420 777 123 456 and +420777123456, tel:+49-30-1234567, +39 06 678 4343, +30 21 0 1234567, +55 11 98456 5666
        (415) 555-0132, (415)555-0132 x12, 415-555-0132, 415.555.0132, 1-415-555-0132 ext. 77
        phone: 0496 46 46 70, Mobile: 03.93.92.16.85 Fax 345-899-3560
        My Israeli number is 09-7625400. My CN number is 13812345678
        call me at 668 5702 please, 085 175 7641-Office
        phone=4155550132&x=1 "mobile":"777123456"
        %2B14155550132
        "#,
        expect![[r#"
            call [phone] or [phone] or [phone], [phone]; [phone].
            [phone] and [phone], tel:[phone], [phone], [phone], [phone]
            [phone], [phone], [phone], [phone], [phone]
            phone: [phone], Mobile: [phone] Fax [phone]
            My Israeli number is [phone]. My CN number is [phone]
            call me at [phone] please, [phone]-Office
            phone=[phone]&x=1 "mobile":"[phone]"
            [phone]
        "#]],
    );
    check(
        r#"
        order 4155550132, ref 415 555 0132, 555-0132 and 1-800
        2026-01-02 03:04:05.678+0100 took 1234567 ms at +12 and x+14155550132
        192.168.100.2000 415.555.0132.4 12-415-555-0132 415-555-0132-99 id_415-555-0132
        +1234567 +999 123 456 789 +0 415 555 0132
        phone 2026-01-02, telephone 12345
        smartphone 12345678 microphone 12345678
        block 8005551234567 of 1500 2500 3500
        "#,
        expect![[r#"
            same: order 4155550132, ref 415 555 0132, 555-0132 and 1-800
            same: 2026-01-02 03:04:05.678+0100 took 1234567 ms at +12 and x+14155550132
            same: 192.168.100.2000 415.555.0132.4 12-415-555-0132 415-555-0132-99 id_415-555-0132
            same: +1234567 +999 123 456 789 +0 415 555 0132
            same: phone 2026-01-02, telephone 12345
            same: smartphone 12345678 microphone 12345678
            same: block 8005551234567 of 1500 2500 3500
        "#]],
    );
}

#[test]
fn addresses() {
    check(
        r#"
        from 203.0.113.9:8080 to 10.0.0.1, 192.168.0.1. "::ffff:192.0.2.1" http://1.2.3.4/x user@10.1.2.3
        2001:db8::1 [2001:db8::1]:443 fe80::1%eth0 ::1 684D:1111:222:3333:4444:5555:6:77 SSH to u@2001:db8::1, src=::1
        /203.0.113.9:50010 ip=203.0.113.9/24 blk to /10.251.43.21
        00:1A:2B:3C:4D:5E AA-BB-CC-DD-EE-FF 0012.3456.789a mac 01-02-03-04-05-06
        "#,
        expect![[r#"
            from [ip]:8080 to [ip], [ip]. "[ip]" http://[ip]/x user@[ip]
            [ip] [[ip]]:443 [ip] [ip] [ip] SSH to u@[ip], src=[ip]
            /[ip]:50010 ip=[ip]/24 blk to /[ip]
            [mac] [mac] [mac] mac [mac]
        "#]],
    );
    check(
        r#"
        version 1.2.3.4, v1.2.3.4 Chrome/120.0.0.0 lib-1.2.3.4.jar 1.2.3 1.2.3.4.5 256.1.1.1 1.3.6.1.4.1.311
        std::vector a::b Foo::Bar 12:34:56 2026-01-02T03:04:05 00:00:00:00:00:00 FF:FF:FF:FF:FF:FF :: 1:2:3:4:5:6:7:8
        AA:BB:CC:DD:EE:FF:00:11 10-20-30-40-50-60 4bf92f35-77b3-4da6-a3ce-929d0e0e4736 0x1A:2B
        "#,
        expect![[r#"
            same: version 1.2.3.4, v1.2.3.4 Chrome/120.0.0.0 lib-1.2.3.4.jar 1.2.3 1.2.3.4.5 256.1.1.1 1.3.6.1.4.1.311
            same: std::vector a::b Foo::Bar 12:34:56 2026-01-02T03:04:05 00:00:00:00:00:00 FF:FF:FF:FF:FF:FF :: 1:2:3:4:5:6:7:8
            same: AA:BB:CC:DD:EE:FF:00:11 10-20-30-40-50-60 4bf92f35-77b3-4da6-a3ce-929d0e0e4736 0x1A:2B
        "#]],
    );
}

#[test]
fn devices_and_paths() {
    check(
        r#"
        imei 490154203237518, IMEI: 35-209900-176148-1 and 35 209900 176148 1
        /home/jane/app.py "/Users/jane.doe/x" C:\Users\Jane Doe\AppData\x C:\\Users\\jane\\x file:///home/jane/x
        d:/Users/jane/x /mnt/c/Users/jane at /export/home/jane, %2Fhome%2Fjane%2Fx
        mail jane%40example.com, jane@example.org, žluť@kůň.cz, user@xn--80ak6aa92e.com
        "#,
        expect![[r#"
            imei [imei], IMEI: [imei] and [imei]
            /home/[user]/app.py "/Users/[user]/x" C:\Users\[user]\AppData\x C:\\Users\\[user]\\x file:///home/[user]/x
            d:/Users/[user]/x /mnt/c/Users/[user] at /export/home/[user], %2Fhome%2F[user]%2Fx
            mail [email], [email], [email], [email]
        "#]],
    );
    check(
        r#"
        number 490154203237518 and imei 490154203237519, 35-209900-176148-2
        https://x.example/home/products GET /home/index.html /users/42 /Users/Shared/x /home/[user]/x /home/$USER
        C:\Users\Public\x /homepage/jane my email is info@presidio.
        "#,
        expect![[r#"
            same: number 490154203237518 and imei 490154203237519, 35-209900-176148-2
            same: https://x.example/home/products GET /home/index.html /users/42 /Users/Shared/x /home/[user]/x /home/$USER
            same: C:\Users\Public\x /homepage/jane my email is info@presidio.
        "#]],
    );
}

#[test]
fn by_name() {
    let scrubber = all();
    let field = |key: &str, text: &str| scrubber.scrub_field(key, text, &mut Counts::new());
    for key in ["phone", "mobilePhone", "phone_number", "user.phone", "Telephone", "fax"] {
        assert_eq!(field(key, "4155550132").as_deref(), Some("[phone]"), "{key}");
        assert_eq!(field(key, "777 123 456").as_deref(), Some("[phone]"), "{key}");
    }
    for key in ["phone_type", "smartphones", "order", "cellular_id", "telemetry"] {
        assert_eq!(field(key, "4155550132"), None, "{key}");
    }
    assert_eq!(field("phone", "none given"), None);
    assert_eq!(field("imei", "490154203237518").as_deref(), Some("[imei]"));
    let mut value = candor_model::json::parse(
        br#"{"phone":4155550132,"order":4155550132,"imei":490154203237518}"#,
        candor_model::json::Leniency::STRICT,
    )
    .expect("JSON");
    scrubber.scrub_value(&mut value, None, &mut Counts::new());
    expect![[r#"{"phone":"[phone]","order":4155550132,"imei":"[imei]"}"#]]
        .assert_eq(&candor_model::json::to_string(&value));
}
