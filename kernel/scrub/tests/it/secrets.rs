//! Passwords, tokens, keys and credentials in text.

use candor_scrub::{Counts, Scrubber};
use expect_test::expect;

use crate::{check, scrubbed};

#[test]
fn codes_of_persons_stand_in_and_what_only_ends_like_one_does_not() {
    let code = "abcdefghijklmnopqrstuvwx27";
    let scrubber = Scrubber::default();
    let field = |key: &str, text: &str| {
        scrubber.scrub_field(key, text, &mut Counts::new()).unwrap_or_else(|| text.to_owned())
    };
    for kind in ["user", "email", "name", "device", "session", "replay"] {
        let coded = format!("{kind}:{code}");
        assert_eq!(field("password", &coded), coded);
        for text in [format!("x {coded} y"), format!("token={coded}"), format!("https://{coded}@host/")] {
            assert_eq!(scrubbed(&text), text);
        }
    }
    assert_eq!(field("password", &format!("hunter2 user:{code}")), "[secret]");
    assert_eq!(field("password", &format!("hunter2:{code}")), "[secret]");
    assert_eq!(field("password", code), "[secret]");
    assert_eq!(scrubbed(&format!("https://jane:{code}@host/")), "https://[url_credentials]@host/");
}

#[test]
fn named_in_text() {
    check(
        r#"
        password=hunter2
        login failed password=hunter2 user=jane
        password: hunter2
        pwd: x
        passwd = "hunter2" next
        "password":"hunter2","user":"jane"
        {"user":"jane","password":"hunter2"}
        {'api_key': 'abc', 'n': 1}
        {\"password\":\"hunter2\",\"n\":1}
        {\\\"password\\\":\\\"hunter2\\\",\\\"n\\\":1}
        "{\"a\":\"{\\\"token\\\":\\\"abc\\\"}\"}"
        {"password":12345,"pin":1}
        {"password":"a\"b,c d","n":1}
        user=jane&password=hunter2&ok=1
        /login?password=hunter2
        user[password]=hunter2&x=1
        password%3Dhunter2%26x%3D1
        q=password%3Dhun%20ter2&x=1
        User(name=jane, password=hunter2, role=admin)
        User(name=jane,password=hunt,er2,role=admin)
        Server=db;User Id=sa;Password=hun;ter2;Timeout=5
        PGPASSWORD=hunter2 psql
        mysql --password hunter2 --user=jane
        mysql --password=hunter2
        <password>hunter2</password>
        &quot;password&quot;:&quot;hunter2&quot;
        "password":"hun
        ("Cookie", "a=b; c=d")
        [["Cookie","a=b"],["Host","x"]]
        [{"name":"Authorization","value":"abc"},{"name":"Host","value":"x"}]
        cookies: {"sid":"abc","b":[1,2]} rest
        access_token=abc123; refreshToken='def'; X-Api-Key: k3y
        secret => 'x1' and client_secret := "y"
        DB_PASSWORD: s3cr3t
        AccountKey=abc==;EndpointSuffix=x
        password=p@ss!w0rd@&x=1
        \u0070assword=hunter2 \u0022token\u0022:\u0022abc\u0022
        "#,
        expect![[r#"
            password=[secret]
            login failed password=[secret] user=jane
            password: [secret]
            pwd: [secret]
            passwd = "[secret]" next
            "password":"[secret]","user":"jane"
            {"user":"jane","password":"[secret]"}
            {'api_key': '[secret]', 'n': 1}
            {\"password\":\"[secret]\",\"n\":1}
            {\\\"password\\\":\\\"[secret]\\\",\\\"n\\\":1}
            "{\"a\":\"{\\\"token\\\":\\\"[secret]\\\"}\"}"
            {"password":[secret],"pin":1}
            {"password":"[secret]","n":1}
            user=jane&password=[secret]&ok=1
            /login?password=[secret]
            user[password]=[secret]&x=1
            password%3D[secret]
            q=password%3D[secret]&x=1
            User(name=jane, password=[secret], role=admin)
            User(name=jane,password=[secret],role=admin)
            Server=db;User Id=sa;Password=[secret];Timeout=5
            PGPASSWORD=[secret] psql
            mysql --password [secret] --user=jane
            mysql --password=[secret]
            <password>[secret]</password>
            &quot;password&quot;:&quot;[secret]&quot;
            "password":"[secret]
            ("Cookie", "[secret]")
            [["Cookie","[secret]"],["Host","x"]]
            [{"name":"Authorization","value":"[secret]"},{"name":"Host","value":"x"}]
            cookies: [secret] rest
            access_token=[secret]; refreshToken='[secret]'; X-Api-Key: [secret]
            secret => '[secret]' and client_secret := "[secret]"
            DB_PASSWORD: [secret]
            AccountKey=[secret];EndpointSuffix=x
            password=[secret]&x=1
            \u0070assword=[secret] \u0022token\u0022:\u0022[secret]\u0022
        "#]],
    );
}

#[test]
fn text_about_secrets() {
    check(
        r#"
        Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2
        password: required
        password: must have 8 characters
        password=
        password=*** password=[Filtered] password=${PASSWORD} password=%s password={password} password=null
        password=[secret] token: [secret] Cookie: [secret]
        Invalid token: expired
        Unexpected token: }
        token_count=12 max_tokens=100 author=Jane authority: x tokens=5
        token = get_token(request)
        password = self.password
        token::Kind auth::login
        session=1 session: main
        pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0
        PWD=/home/jane HOME=/home/jane
        jsonwebtoken: 9.0.2, "cookie":"0.6.0"
        cookie_consent=yes csrf_enabled=true
        keyboard=us monkey=see key=value
        Bearer of bad news; Basic authentication failed; Bearer realm="x"
        "#,
        expect![[r#"
            same: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2
            same: password: required
            same: password: must have 8 characters
            same: password=
            same: password=*** password=[Filtered] password=${PASSWORD} password=%s password={password} password=null
            same: password=[secret] token: [secret] Cookie: [secret]
            same: Invalid token: expired
            same: Unexpected token: }
            same: token_count=12 max_tokens=100 author=Jane authority: x tokens=5
            same: token = get_token(request)
            same: password = self.password
            same: token::Kind auth::login
            same: session=1 session: main
            same: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0
            same: PWD=/home/jane HOME=/home/jane
            same: jsonwebtoken: 9.0.2, "cookie":"0.6.0"
            same: cookie_consent=yes csrf_enabled=true
            same: keyboard=us monkey=see key=value
            same: Bearer of bad news; Basic authentication failed; Bearer realm="x"
        "#]],
    );
}

#[test]
fn headers() {
    check(
        r#"
        Authorization: Bearer abc.def.ghi
        Authorization: Basic dXNlcjpwYXNz HTTP/1.1
        authorization: Digest username="jane", realm="x", response="abc"
        Authorization: AWS4-HMAC-SHA256 Credential=abc/20260102, Signature=def
        Authorization: abc123def
        Cookie: a=b; c=d; e="f g"
        Set-Cookie: sid=abc; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT
        curl -H "Authorization: Bearer abc123" -H 'Cookie: a=b; c=d' https://x
        GET / HTTP/1.1\r\nCookie: a=b; c=d\r\nHost: x\r\n
        X-Auth-Token: abc123
        a\napi_key=k C:\x\token=abc\tpassword=hunter2
        Proxy-Authorization: Basic dXNlcjpwYXNz
        map[Authorization:[Bearer abc] Accept:[*/*]]
        {Authorization=Bearer abc123, Host=x}
        sent Bearer abcdef123456 to x
        sent Basic dXNlcjpwYXNz to x
        "#,
        expect![[r#"
            Authorization: [secret]
            Authorization: [secret] HTTP/1.1
            authorization: [secret]
            Authorization: [secret]
            Authorization: [secret]
            Cookie: [secret]
            Set-Cookie: [secret]
            curl -H "Authorization: [secret]" -H 'Cookie: [secret]' https://x
            GET / HTTP/1.1\r\nCookie: [secret]\r\nHost: x\r\n
            X-Auth-Token: [secret]
            a\napi_key=[secret] C:\x\token=[secret]\tpassword=[secret]
            Proxy-Authorization: [secret]
            map[Authorization:[secret] Accept:[*/*]]
            {Authorization=[secret], Host=x}
            sent Bearer [secret] to x
            sent Basic [secret] to x
        "#]],
    );
    assert_eq!(
        scrubbed("GET / HTTP/1.1\r\nCookie: a=b; c=d\r\nHost: x\r\n"),
        "GET / HTTP/1.1\r\nCookie: [secret]\r\nHost: x\r\n"
    );
}

#[test]
fn shapes() {
    // Put together here so that no scanner takes this file for a leak.
    let token = |prefix: &str, tail: &str| format!("{prefix}{tail}");
    let tail = "0123456789abcdefghijABCDEFGHIJ012345";
    for (prefix, length) in [
        ("gh", 0),
        ("ghp_", 36),
        ("gho_", 36),
        ("ghs_", 36),
        ("github_pat_", 36),
        ("glpat-", 20),
        ("xoxb-", 24),
        ("xoxp-", 24),
        ("sk_live_", 24),
        ("rk_live_", 24),
        ("sk_test_", 24),
        ("AIza", 35),
        ("npm_", 36),
        ("sk-", 36),
        ("sk-proj-", 36),
        ("hf_", 34),
        ("whsec_", 32),
        ("GOCSPX-", 28),
        ("ya29.", 30),
        ("hvs.", 30),
        ("candor_pat_", 30),
        ("candor_admin_", 30),
        ("cnd_", 30),
    ] {
        let secret = token(prefix, tail.get(..length).unwrap_or_default());
        let text = format!("before {secret} after, ({secret}) /{secret}? x_{secret}");
        let expected = match length {
            0 => text.clone(),
            _ => "before [secret] after, ([secret]) /[secret]? x_[secret]".to_owned(),
        };
        assert_eq!(scrubbed(&text), expected, "{prefix}");
    }
    assert_eq!(scrubbed(&token("AKIA", "IOSFODNN7EXAMPLE")), "[secret]");
    assert_eq!(scrubbed(&format!("SG.{}.{}", "a1B2c3D4e5F6g7H8i9J0k1", "A1b2".repeat(10))), "[secret]");
    assert_eq!(scrubbed(&format!("bot 123456789:AA{}", "e".repeat(33))), "bot [secret]");
    assert_eq!(
        scrubbed("https://hooks.slack.com/services/T00000000/B00000000/aaaaaaaaaaaaaaaaaaaaaaaa"),
        "https://hooks.slack.com/services/T00000000/B00000000/[secret]"
    );
    let web_token =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9";
    assert_eq!(scrubbed(&format!("got {web_token}. Next")), "got [secret]. Next");
    check(
        "
        AKIA is a prefix, sk-learn-is-a-library-with-a-name, key-value-store-of-the-cluster
        eyJub3QiOiJhIHRva2VuIn0 alone
        the-quick-brown-fox-jumps-over SomeVeryLongCamelCaseClassName2Impl
        ",
        expect![[r#"
            same: AKIA is a prefix, sk-learn-is-a-library-with-a-name, key-value-store-of-the-cluster
            same: eyJub3QiOiJhIHRva2VuIn0 alone
            same: the-quick-brown-fox-jumps-over SomeVeryLongCamelCaseClassName2Impl
        "#]],
    );
}

#[test]
fn private_keys() {
    let body = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgwMbRvI0MBZhpI\nabcDEF123+/=";
    let key = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----");
    let whole = "a [private_key] b";
    assert_eq!(scrubbed(&format!("a {key} b")), whole);
    assert_eq!(scrubbed(&format!("a {} b", key.replace('\n', "\\n"))), whole);
    assert_eq!(scrubbed(&format!("a {} b", key.replace('\n', "\r\n"))), whole);
    assert_eq!(scrubbed(&format!("a {} b", key.replace("RSA PRIVATE", "OPENSSH PRIVATE"))), whole);
    assert_eq!(scrubbed(&format!("a {} b", key.replace("RSA PRIVATE", "ENCRYPTED PRIVATE"))), whole);
    let block = key.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK");
    assert_eq!(scrubbed(&format!("a {block} b")), whole);
    // Cut behind and before.
    let (head, tail) = key.split_at(key.len() / 2);
    assert_eq!(scrubbed(&format!("a {head}")), "a [private_key]");
    assert_eq!(scrubbed(&format!("{{\"k\":\"{head}\",\"n\":1}}")), "{\"k\":\"[private_key]\",\"n\":1}");
    assert_eq!(scrubbed(&format!("{tail} b")), "[private_key] b");
    assert_eq!(scrubbed(&format!("token={key} b")), "token=[private_key] b");
    let public = key.replace("RSA PRIVATE", "PUBLIC").replace("MIIEpAIBAAKCAQEA", "MIIBIjANBgkqhkiG");
    assert_eq!(scrubbed(&public), public);
    // PKCS #8 without its envelope.
    let der = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    assert_eq!(scrubbed(&format!("k={der} b")), "k=[private_key] b");
}

#[test]
fn credentials_in_urls() {
    check(
        r#"
        https://user:pass@host/path
        postgres://jane:p@ss@db:5432/shop and redis://:pw@cache
        mongodb+srv://u:p/w%40d@h1:27017,h2:27017/db
        jdbc:mysql://u:p@h/db amqp://guest:guest@mq
        https:\/\/user:pass@host\/path
        "url":"https://user:pass@host","n":1
        root:hunter2@tcp(db:3306)/shop
        https%3A%2F%2Fuser%3Apass%40host
        http://host:8080/a@b https://host/@user http://[::1]:80/x@y git@github.com:a/b.git
        https://user:***@host https://${USER}:${PASS}@host https://[url_credentials]@host https://user:@host
        ratio a:b@c mailto:jane@example.com ssh://git@host/a.git postgres://shop@db/shop https://host?q=a@b
        https://user@host https://0123456789abcdef0123456789abcdef@o1.ingest.example.io/1 git+HTTPS://abc@h/x.git
        redis://0123456789abcdefghij@cache
        GET,https://shop.example,jane@example.org,42
        url=https://api.example,contact=ops@example.com
        https://shop.example;jane@example.org (https://shop.example)jane@example.org https://a.example|b@c.example
        https://shop.example\njane@example.org [https://shop.example]jane@example.org https://a.example&b@c.example
        https://k3y@o1.example,jane@example.org
        https://dG9rZW4=@host https://p@ss@host
        "#,
        expect![[r#"
            https://[url_credentials]@host/path
            postgres://[url_credentials]@db:5432/shop and redis://[url_credentials]@cache
            mongodb+srv://[url_credentials]@h1:27017,h2:27017/db
            jdbc:mysql://[url_credentials]@h/db amqp://[url_credentials]@mq
            https:\/\/[url_credentials]@host\/path
            "url":"https://[url_credentials]@host","n":1
            [url_credentials]@tcp(db:3306)/shop
            https%3A%2F%2F[url_credentials]%40host
            same: http://host:8080/a@b https://host/@user http://[::1]:80/x@y git@github.com:a/b.git
            same: https://user:***@host https://${USER}:${PASS}@host https://[url_credentials]@host https://user:@host
            same: ratio a:b@c mailto:jane@example.com ssh://git@host/a.git postgres://shop@db/shop https://host?q=a@b
            https://[url_credentials]@host https://[url_credentials]@o1.ingest.example.io/1 git+HTTPS://[url_credentials]@h/x.git
            redis://[url_credentials]@cache
            same: GET,https://shop.example,jane@example.org,42
            same: url=https://api.example,contact=ops@example.com
            same: https://shop.example;jane@example.org (https://shop.example)jane@example.org https://a.example|b@c.example
            same: https://shop.example\njane@example.org [https://shop.example]jane@example.org https://a.example&b@c.example
            https://[url_credentials]@o1.example,jane@example.org
            https://[url_credentials]@host https://[url_credentials]@host
        "#]],
    );
}

#[test]
fn hidden_in_encodings() {
    check(
        r#"
        cc%3D4111111111111111
        cc=%34%31%31%31111111111111&x=1
        a=%2534111111111111111
        \u0034111111111111111 and \x34111111111111111
        {\"a\":\"\\u0034111111111111111\"}
        &#52;111111111111111
        payload NDExMTExMTExMTExMTExMQ== end
        data:text/plain;base64,Y2FyZCA0MTExMTExMTExMTExMTEx, next
        eyJjYXJkIjoiNDExMTExMTExMTExMTExMSIsIm4iOjF9
        key_cGFzc3dvcmQ9aHVudGVyMg==
        Y0dGemMzZHZjbVE5YUhWdWRHVnlNZz09
        hello aGVsbG8gd29ybGQsIHRoaXMgaXMgZmluZQ== stays
        C:\Users\new\x64 \u00e9t\u00e9 100%25 %7B%7D stay
        "#,
        expect![[r#"
            cc%3D[card]
            cc=[card]&x=1
            a=[card]
            [card] and [card]
            {\"a\":\"[card]\"}
            [card]
            payload [card] end
            data:text/plain;base64,[card], next
            [card]
            key_[secret]
            [secret]
            same: hello aGVsbG8gd29ybGQsIHRoaXMgaXMgZmluZQ== stays
            same: C:\Users\new\x64 \u00e9t\u00e9 100%25 %7B%7D stay
        "#]],
    );
}

#[test]
fn secrets_in_base64_of_every_length() {
    let names = [
        "pwd",
        "password",
        "api_key",
        "token",
        "client_secret",
        "Authorization: Bearer",
        "user=jane&password",
    ];
    let values = ["hunter2", "s3cr3t", "correcthorsebattery", "Tr0ub4dor&3", "x9", "abcdefghijk1"];
    for name in names {
        for value in values {
            let link = if name.ends_with("Bearer") { " " } else { "=" };
            let plain = format!("{name}{link}{value}");
            if scrubbed(&plain) == plain {
                continue;
            }
            for plain in [plain.clone(), format!("{{\"{name}\":\"{value}\"}}")] {
                for encoded in [
                    data_encoding::BASE64.encode(plain.as_bytes()),
                    data_encoding::BASE64URL.encode(plain.as_bytes()),
                ] {
                    // Below 16 characters nothing but padding tells base64 from a word.
                    if encoded.len() < 16 && !encoded.ends_with('=') {
                        continue;
                    }
                    for around in ["@", "sent @", "body=@ ok", "{\"data\":\"@\"}", "a/@"] {
                        let text = around.replace('@', &encoded);
                        let clean = scrubbed(&text);
                        assert!(!clean.contains(&encoded), "{plain} in {text}: {clean}");
                    }
                }
            }
        }
    }
    // Under a name that says so, whatever its length.
    let scrubber = Scrubber::default();
    for value in ["aHVudGVyMg==", "eA==", "aGk", "c2VjcmV0"] {
        assert_eq!(
            scrubber.scrub_field("password", value, &mut Counts::new()).as_deref(),
            Some("[secret]"),
            "{value}"
        );
        assert_eq!(
            scrubber.scrub_field("api_token", value, &mut Counts::new()).as_deref(),
            Some("[secret]"),
            "{value}"
        );
        assert_eq!(scrubbed(&format!("password={value} x")), "password=[secret] x");
        assert_eq!(scrubbed(&format!("{{\"token\":\"{value}\"}}")), "{\"token\":\"[secret]\"}");
    }
}
