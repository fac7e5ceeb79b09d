use proptest::prelude::*;

use super::*;

/// Streams that are hard to cut, each with the frames that it holds.
const STREAMS: &[(&str, &[&str])] = &[
    ("data: a\n\ndata: b\n\n", &["data: a\n\n", "data: b\n\n"]),
    (
        "data: a\r\n\r\n: c\r\n\r\ndata: b\r\n\r\n",
        &["data: a\r\n\r\n", ": c\r\n\r\n", "data: b\r\n\r\n"],
    ),
    ("data: a\r\rdata: b\r\r", &["data: a\r\r", "data: b\r\r"]),
    ("\u{FEFF}data: a\n\n", &["\u{FEFF}data: a\n\n"]),
    (
        "event: x\ndata: one\ndata: two\nid: 7\n\n",
        &["event: x\ndata: one\ndata: two\nid: 7\n\n"],
    ),
    ("data: 你好🦀\n\n", &["data: 你好🦀\n\n"]),
    ("\n\r\ndata: a\n\r\n", &["\n", "\r\n", "data: a\n\r\n"]),
    // A line that ended with a CR alone makes the next blank line do so too.
    ("data: a\n\r\r\n", &["data: a\n\r", "\r", "\n"]),
];

fn cut_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut cutter = Cutter::new(1024);
    let mut frames = Vec::new();
    for piece in pieces {
        let cut = cutter.push(Bytes::copy_from_slice(piece)).unwrap();
        assert_eq!(cut.ends.last().copied().unwrap_or(0), cut.raw.len());
        let mut start = 0;
        for end in cut.ends {
            frames.push(cut.raw[start..end].to_vec());
            start = end;
        }
    }
    (frames, cutter.rest().to_vec())
}

#[test]
fn fm_40_frames_are_the_same_under_every_split_into_three() {
    for (stream, frames) in STREAMS {
        let bytes = stream.as_bytes();
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                let (mut got, rest) = cut_all([&bytes[..a], &bytes[a..b], &bytes[b..]]);
                // A CR at the very end may still be followed by a LF.
                if !rest.is_empty() {
                    got.push(rest);
                }
                let want: Vec<_> = frames.iter().map(|frame| frame.as_bytes()).collect();
                assert_eq!(got, want, "{stream:?} at {a}, {b}");
            }
        }
    }
}

#[test]
fn whole_frames_are_a_slice_of_their_piece() {
    let piece = Bytes::from(b"data: a\n\ndata: b\n\nda".to_vec());
    let cut = Cutter::new(64).push(piece.clone()).unwrap();
    assert_eq!(cut.raw.as_ptr(), piece.as_ptr());
    assert_eq!(cut.ends[..], [9, 18]);
}

#[test]
fn the_limit_holds_for_whole_and_for_growing_events() {
    let event = Bytes::from_static(b"data: 123456\n\n");
    assert!(Cutter::new(14).push(event.clone()).is_ok());
    let error = Cutter::new(13).push(event).unwrap_err();
    assert_eq!(error.kind(), Kind::Cut);
    let mut growing = Cutter::new(8);
    assert!(growing.push(Bytes::from_static(b"data: 12")).is_ok());
    assert!(growing.push(Bytes::from_static(b"3")).is_err());
}

#[test]
fn data_lines_are_joined_and_other_lines_left_out() {
    let frame = b"\xEF\xBB\xBFevent: x\r\ndata: one\r\n: note\r\ndata:two\r\ndata\r\n\r\n";
    assert_eq!(&data(frame).unwrap()[..], b"one\ntwo\n");
    assert_eq!(data(b": only a comment\n\n"), None);
    let names: Vec<_> = fields(frame).map(|(name, _)| name).collect();
    assert_eq!(names, [&b"event"[..], b"data", b"data", b"data"]);
}

proptest! {
    #[test]
    fn joined_frames_are_the_stream_and_do_not_depend_on_the_pieces(
        stream in "(data: |a|:|é|\r|\n|\r\n|\n\n|\r\n\r\n|\u{FEFF}){0,40}",
        cuts in prop::collection::vec(0usize..120, 0..12),
    ) {
        let bytes = stream.as_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let (frames, rest) = cut_all(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]));
        prop_assert_eq!([frames.concat(), rest.clone()].concat(), bytes);
        let (at_once, whole_rest) = cut_all([bytes]);
        prop_assert_eq!((frames, rest), (at_once, whole_rest));
    }
}
