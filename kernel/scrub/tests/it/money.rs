//! Cards, IBANs and social security numbers in text.

use expect_test::expect;

use crate::{check, scrubbed};

/// Any one sign may stand between groups of four or single digits, and digits may be of other scripts.
#[test]
fn cards_with_signs_between() {
    for card in [
        "4111_1111_1111_1111",
        "4111/1111/1111/1111",
        "4111:1111:1111:1111",
        "4111|1111|1111|1111",
        "4111,1111,1111,1111",
        "4111*1111*1111*1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "3-7-8-2-8-2-2-4-6-3-1-0-0-0-5",
        "๔๑๑๑๑๑๑๑๑๑๑๑๑๑๑๑",
        "၄၁၁၁ ၁၁၁၁ ၁၁၁၁ ၁၁၁၁",
    ] {
        for around in
            ["", " ", "some words before that make the text longer than one block of it, and more: "]
        {
            assert_eq!(scrubbed(&format!("{around}{card}")), format!("{around}[card]"));
            assert_eq!(scrubbed(&format!("{around}{card}, and so on")), format!("{around}[card], and so on"));
        }
    }
    for other in [
        "4111,1111,1111,1111,1111",
        "12,4111,1111,1111,1111",
        "4111/1111:1111/1111",
        "4111,1111,1111,1112",
        "1 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "2001:4111:1111:1111:1111",
    ] {
        assert_eq!(scrubbed(other), other);
    }
}

#[test]
fn cards() {
    check(
        "
        4111111111111111
        card 4111111111111111 declined
        card 4111 1111 1111 1111 declined
        card 4111-1111-1111-1111, exp 12/27
        card 4111.1111.1111.1111
        4111 1111 1111 1111 123
        Amex 3782 822463 10005 and 378282246310005
        Diners 3056 930902 5904; Mastercard 5555555555554444/2223003122003222
        UnionPay 6205500000000000004, Maestro 6759649826438453, JCB 3566002020360505
        two: 4111111111111111,5500000000000004
        (4242424242424242)
        x='4111111111111111'
        f_4111111111111111 order-4111-1111-1111-1111
        card4111111111111111 cc4111111111111111x
        https://shop.example/pay/4111111111111111?c=4111111111111111&ok=1
        amount=12.50 pan=4111111111111111.
        4111111111111111.0 is a float
        {\"n\":4111111111111111}
        cc=4111+1111+1111+1111&ok=1
        １２３ ４１１１１１１１１１１１１１１１ full width
        4111\u{a0}1111\u{a0}1111\u{a0}1111 no-break
        4111\u{2011}1111\u{2011}1111\u{2011}1111 dashes
        41\u{200b}11111111111111
        ",
        expect![[r#"
            [card]
            card [card] declined
            card [card] declined
            card [card], exp 12/27
            card [card]
            [card] 123
            Amex [card] and [card]
            Diners [card]; Mastercard [card]/[card]
            UnionPay [card], Maestro [card], JCB [card]
            two: [card],[card]
            ([card])
            x='[card]'
            f_[card] order-[card]
            card[card] cc[card]x
            https://shop.example/pay/[card]?c=[card]&ok=1
            amount=12.50 pan=[card].
            [card].0 is a float
            {"n":[card]}
            cc=[card]&ok=1
            １２３ [card] full width
            [card] no-break
            [card] dashes
            [card]
        "#]],
    );
}

#[test]
fn numbers_that_are_no_cards() {
    check(
        "
        4111111111111112 has a wrong checksum
        order 1234567812345670 and 9999999999999995 have no issuer
        1767323045678 1767323045678000 1767323045678000000 are times
        trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7
        span a411111111111111 hex ff41111111111111111111111111111111
        blk_4131034282458809939 terminating
        dd.trace_id=4131034282458809939 \"span_id\": 4131034282458809939
        took 0.4111111111111111 s, lat 52.4111111111111111
        phone +49 6221 1234 5678 90 or 0041 1111 1111 1111
        IP 10.251.73.220:50010, version 4.11.11.1111
        uuid 41111111-1111-1111-1111-111111111111
        2026-01-02 03:04:05,678 4096 4096 2048 1024 8192 512
        ids 4111 1111 1111 1111 2222 3333 4444 5555 6666 7777 8888 9999 1111 2222 3333 4444 5555
        41111111111111110
        0000000000000000
        ",
        expect![[r#"
            same: 4111111111111112 has a wrong checksum
            same: order 1234567812345670 and 9999999999999995 have no issuer
            same: 1767323045678 1767323045678000 1767323045678000000 are times
            same: trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7
            same: span a411111111111111 hex ff41111111111111111111111111111111
            same: blk_4131034282458809939 terminating
            same: dd.trace_id=4131034282458809939 "span_id": 4131034282458809939
            same: took 0.4111111111111111 s, lat 52.4111111111111111
            same: phone +49 6221 1234 5678 90 or 0041 1111 1111 1111
            same: IP 10.251.73.220:50010, version 4.11.11.1111
            same: uuid 41111111-1111-1111-1111-111111111111
            same: 2026-01-02 03:04:05,678 4096 4096 2048 1024 8192 512
            same: ids 4111 1111 1111 1111 2222 3333 4444 5555 6666 7777 8888 9999 1111 2222 3333 4444 5555
            same: 41111111111111110
            same: 0000000000000000
        "#]],
    );
}

#[test]
fn ibans() {
    check(
        "
        IBAN DE89370400440532013000.
        iban: de89 3704 0044 0532 0130 00, thanks
        GB29-NWBK-6016-1331-9268-19
        to=NL91ABNA0417164300&amount=5
        account_FR1420041010050500013M02606
        {\"iban\":\"NO9386011117947\"}
        DE89370400440532013001 is wrong, DE8937040044053201300 short, XX89370400440532013000 nowhere
        at 10 am we should go to it 60 times, be68 539007547034
        de89370400440532013000ff
        ",
        expect![[r#"
            IBAN [iban].
            iban: [iban], thanks
            [iban]
            to=[iban]&amount=5
            account_[iban]
            {"iban":"[iban]"}
            same: DE89370400440532013001 is wrong, DE8937040044053201300 short, XX89370400440532013000 nowhere
            at 10 am we should go to it 60 times, [iban]
            same: de89370400440532013000ff
        "#]],
    );
}

#[test]
fn social_security_numbers() {
    check(
        "
        SSN 536-90-4399 on file
        ssn: 536904399
        ssn=536 90 4399, social security number 536904399
        {\"ssn\":\"536904399\",\"n\":536904399}
        078-05-1120 and id_536-90-4399
        000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000
        536904399 or 536 90 4399 alone
        tel 1-536-90-4399 or 536-90-43991 or 536-90-4399-1
        ",
        expect![[r#"
            SSN [ssn] on file
            ssn: [ssn]
            ssn=[ssn], social security number [ssn]
            {"ssn":"[ssn]","n":[ssn]}
            [ssn] and id_[ssn]
            same: 000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000
            536904399 or [ssn] alone
            same: tel 1-536-90-4399 or 536-90-43991 or 536-90-4399-1
        "#]],
    );
}

#[test]
fn an_amount_behind_a_card_is_no_part_of_it() {
    let cards = [
        "4111 1111 1111 1111",
        "5500 0000 0000 0004",
        "3782 822463 10005",
        "6011 0009 9013 9424",
        "4012-8888-8888-1881",
    ];
    for card in cards {
        for cents in 0..10_000 {
            let amount = format!("{}.{:02}", cents / 100, cents % 100);
            for (before, between) in
                [("", " "), ("card ", " "), ("card: ", " "), ("pan=", "-"), ("paid with card ", ".")]
            {
                let text = format!("{before}{card}{between}{amount} EUR");
                assert_eq!(scrubbed(&text), format!("{before}[card]{between}{amount} EUR"), "{text}");
            }
        }
    }
    assert_eq!(scrubbed("card 4111 1111 1111 1111 09 82,65"), "card [card] 09 82,65");
    // A number of more than 16 digits is one all the same.
    assert_eq!(scrubbed("6205 5000 0000 0000 004 and 6759 6498 2643 8453"), "[card] and [card]");
}
