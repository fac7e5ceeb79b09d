use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const MOST: Duration = Duration::from_secs(300);

/// 2015-10-21 07:28:00 UTC.
fn noon() -> SystemTime {
    httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap()
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let lines = lines.iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value).unwrap();
        (HeaderName::from_static(name), value)
    });
    let mut map = HeaderMap::new();
    lines.for_each(|(name, value)| {
        map.append(name, value);
    });
    map
}

#[test]
fn fm_18_hints_are_read_in_every_form() {
    let ms = Duration::from_millis;
    for (lines, expected) in [
        (&[("retry-after", "7")][..], ms(7_000)),
        (&[("retry-after", " 1.5 ")], ms(1_500)),
        (&[("retry-after", "0")], ms(0)),
        (&[("retry-after", "3600")], MOST),
        (&[("retry-after-ms", "250"), ("retry-after", "7")], ms(250)),
        (
            &[("x-ms-retry-after-ms", "90"), ("retry-after", "7")],
            ms(90),
        ),
        (
            &[("retry-after-ms", "soon"), ("retry-after", "7")],
            ms(7_000),
        ),
        (
            &[("retry-after", "Wed, 21 Oct 2015 07:28:09 GMT")],
            ms(9_000),
        ),
        (&[("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT")], ms(0)),
        // the upstream's clock is eight seconds ahead of ours
        (
            &[
                ("retry-after", "Wed, 21 Oct 2015 07:28:09 GMT"),
                ("date", "Wed, 21 Oct 2015 07:28:08 GMT"),
            ],
            ms(1_000),
        ),
    ] {
        assert_eq!(
            wait(&headers(lines), MOST, noon()),
            Some(expected),
            "{lines:?}"
        );
    }
}

#[test]
fn fm_20_nonsense_is_no_hint() {
    let forty = "9".repeat(40);
    for value in [
        "", "-1", "NaN", "inf", "1e308", "+5", "0x10", "7 s", "1.2.3", ".", "soon", &forty,
    ] {
        let lines = headers(&[("retry-after", value)]);
        assert_eq!(wait(&lines, MOST, noon()), None, "{value}");
    }
    let twice = headers(&[("retry-after", "1"), ("retry-after", "2")]);
    assert_eq!(wait(&twice, MOST, noon()), None);
}

proptest! {
    #[test]
    fn fm_20_no_header_panics_or_waits_too_long(value in "[ -~]{0,48}", ms in "[0-9.eE+-]{0,48}") {
        let lines = headers(&[("retry-after", &value), ("retry-after-ms", &ms)]);
        prop_assert!(wait(&lines, MOST, noon()).is_none_or(|wait| wait <= MOST));
    }
}
