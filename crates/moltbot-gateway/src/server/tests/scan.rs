use proptest::prelude::*;

use crate::server::refusal::Refusal;
use crate::server::strict::{HeadLimits, Scan};

/// What hyper is shown, and what is refused, when the bytes come in these pieces.
fn shown(pieces: &[&[u8]]) -> (Vec<u8>, Option<Refusal>) {
    let mut scan = Scan::new(HeadLimits {
        bytes: 300,
        fields: 8,
        uri: 40,
    });
    let (mut shown, mut held) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let cleared = scan.advance(&held);
        shown.extend(held.drain(..cleared.bytes));
        if cleared.refusal.is_some() {
            return (shown, cleared.refusal);
        }
    }
    (shown, None)
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let request = prop_oneof![
        Just("GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        Just("\r\nGET / HTTP/1.0\r\n\r\n".to_owned()),
        Just("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nGET /".to_owned()),
        Just("POST / HTTP/1.1\r\nHost:x\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\n\r\n\r\r\n0\r\nt: v\r\n\r\n".to_owned()),
        Just("GET / HTTP/1.1\nhost: x\r\n\r\n".to_owned()),
        Just("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()),
        "GET /[a-z]{30,60} HTTP/1[.]1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1[.]1\r\nhost: x\r\n(a: [b-z]{0,20}\r\n){0,16}\r\n",
        "\\PC{0,40}",
    ];
    prop::collection::vec(request, 1..5).prop_map(|all| all.concat().into_bytes())
}

proptest! {
    #[test]
    fn the_scan_does_not_depend_on_where_the_bytes_are_split(
        bytes in requests(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for cut in cuts {
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
        pieces.push(&bytes[from..]);
        prop_assert_eq!(shown(&pieces), shown(&[&bytes]));
    }

    #[test]
    fn any_bytes_are_scanned_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (shown, _) = shown(&[&bytes]);
        prop_assert!(bytes.starts_with(&shown));
    }
}
