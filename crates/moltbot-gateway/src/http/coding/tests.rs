use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const LIMIT: u64 = 1 << 20;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn pack(coding: Coding, text: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => gzip(text),
        Coding::Zstd => zstd::encode_all(text, 3).unwrap(),
    }
}

fn unpack(coding: Coding, packed: &[u8], piece: usize) -> Result<Bytes, CallError> {
    let mut unpacker = Unpacker::new(coding, LIMIT)?;
    for piece in packed.chunks(piece) {
        unpacker.push(piece)?;
    }
    unpacker.finish()
}

proptest! {
    #[test]
    fn what_was_packed_is_unpacked_whatever_its_pieces(
        text in proptest::collection::vec(any::<u8>(), 0..4096),
        piece in 1_usize..200,
        zstd: bool,
    ) {
        let coding = if zstd { Coding::Zstd } else { Coding::Gzip };
        let packed = pack(coding, &text);
        prop_assert_eq!(&unpack(coding, &packed, piece).unwrap()[..], &text);
        // Without its end it is no body.
        let error = unpack(coding, &packed[..packed.len() - 1], piece).unwrap_err();
        prop_assert_eq!(error.status(), 400);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, zstd: bool) {
        let coding = if zstd { Coding::Zstd } else { Coding::Gzip };
        if let Err(error) = unpack(coding, &bytes, 64) {
            prop_assert_eq!(error.status(), 400);
        }
    }
}

#[test]
fn several_members_are_one_body() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let packed = [pack(coding, b"one "), pack(coding, b"two")].concat();
        assert_eq!(unpack(coding, &packed, 7).unwrap(), "one two", "{coding:?}");
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let bomb = pack(coding, &vec![0; 64 << 20]);
        assert!((bomb.len() as u64) < LIMIT);
        let mut unpacker = Unpacker::new(coding, LIMIT).unwrap();
        let error = unpacker.push(&bomb).unwrap_err();
        assert_eq!(error.status(), 413);
        assert!(error.message().contains("server.limits.body"), "{error}");
        let out = match &unpacker.undo {
            Undo::Gzip(undo) => undo.get_ref(),
            Undo::Zstd(undo) => undo.writer(),
        };
        assert!(out.bytes.len() as u64 <= LIMIT);
    }
}

#[test]
fn a_window_that_would_take_much_memory_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(b"small").unwrap();
    let packed = encoder.finish().unwrap();
    let error = unpack(Coding::Zstd, &packed, 64).unwrap_err();
    assert_eq!(error.status(), 400);
}

#[test]
fn codings_are_named() {
    let of = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Coding::of(&headers).map_err(|error| error.message().to_owned())
    };
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&["identity"]), Ok(None));
    assert_eq!(of(&["GZip"]), Ok(Some(Coding::Gzip)));
    assert_eq!(of(&["identity, x-gzip"]), Ok(Some(Coding::Gzip)));
    assert_eq!(of(&["zstd"]), Ok(Some(Coding::Zstd)));
    for (values, name) in [
        (&["br"][..], "br"),
        (&["gzip, zstd"], "zstd"),
        (&["gzip", "deflate"], "deflate"),
    ] {
        let said = of(values).unwrap_err();
        assert!(
            said.starts_with(&format!("content-encoding {name} ")),
            "{said}"
        );
    }
}
