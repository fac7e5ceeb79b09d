use proptest::prelude::*;

use super::*;

fn chunk(choices: &str) -> String {
    format!("data: {{\"id\":\"c\",\"choices\":[{choices}]}}\n\n")
}

fn text(text: &str) -> String {
    chunk(&format!(
        r#"{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}"#
    ))
}

fn stop() -> String {
    chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#)
}

const DONE_TEXT: &str = "data: [DONE]\n\n";

/// What came out: raw text, marks, and the outcome of the end.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    raw: String,
    marks: Vec<Mark>,
    usage: Option<Usage>,
    cut: Option<String>,
    /// The status that the failure means.
    failure: Option<u16>,
}

impl Seen {
    fn take(&mut self, stream: &mut Stream, frames: Result<Option<Frames>, CallError>) -> bool {
        match frames {
            Ok(None) => {}
            Ok(Some(frames)) => {
                let pieces: Vec<_> = frames.iter().collect();
                assert_eq!(
                    pieces.iter().map(|(raw, _)| raw.len()).sum::<usize>(),
                    frames.raw().len()
                );
                self.marks.extend(pieces.iter().map(|(_, mark)| *mark));
                self.raw.push_str(&String::from_utf8_lossy(frames.raw()));
                self.usage = frames.usage.or(self.usage);
                if frames.has(Mark::Error) {
                    let failure = stream.failure();
                    self.failure = failure.and_then(|it| Some(it.fault()?.status.as_u16()));
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), Kind::Cut);
                self.cut = Some(error.message().to_owned());
            }
        }
        self.cut.is_none()
    }
}

fn play<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut stream = Stream::new(4096);
    let mut seen = Seen::default();
    for piece in pieces {
        let frames = stream.push(Bytes::copy_from_slice(piece));
        if !seen.take(&mut stream, frames) {
            return seen;
        }
    }
    let frames = stream.finish();
    seen.take(&mut stream, frames);
    seen
}

fn marks(text: &str) -> Vec<Mark> {
    play([text.as_bytes()]).marks
}

#[test]
fn roles_blanks_and_usage_are_no_content() {
    for quiet in [
        chunk(r#"{"index":0,"delta":{"role":"assistant","content":""}}"#),
        chunk(r#"{"index":0,"delta":{"content":" \n\t"}}"#),
        chunk(
            r#"{"index":0,"delta":{"content":null,"tool_calls":[],"refusal":null},"finish_reason":""}"#,
        ),
        chunk(r#"{"index":0,"text":""}"#),
        chunk(""),
        "data: {\"usage\":{\"prompt_tokens\":1}}\n\n".to_owned(),
    ] {
        let seen = play([format!("{quiet}{}{}", text("a"), stop()).as_bytes()]);
        assert_eq!(
            seen.marks,
            [Mark::Role, Mark::Content, Mark::End, Mark::End],
            "{quiet}"
        );
    }
}

#[test]
fn everything_that_a_model_says_is_content() {
    for said in [
        r#""delta":{"content":"a"}"#,
        r#""delta":{"reasoning_content":"hm"}"#,
        r#""delta":{"reasoning":"hm"}"#,
        r#""delta":{"refusal":"no"}"#,
        r#""delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}"#,
        r#""delta":{"function_call":{"name":"f"}}"#,
        r#""delta":{"audio":{"data":"AA"}}"#,
        r#""delta":{"content":[{"type":"thinking"}]}"#,
        r#""delta":{"content":"\ud800"}"#,
        r#""text":"a""#,
    ] {
        let seen = marks(&chunk(&format!("{{\"index\":0,{said}}}")));
        assert_eq!(seen, [Mark::Content], "{said}");
    }
}

#[test]
fn comments_and_empty_events_are_signs_of_life() {
    assert_eq!(
        marks(": OPENROUTER PROCESSING\n\n:\n\nevent: ping\n\ndata:\n\nid: 3\n\n\n"),
        [Mark::Ping; 6]
    );
}

#[test]
fn fm_36_an_end_without_its_marker_gets_it_once() {
    let ended = [text("a"), stop()].concat();
    for stream in [ended.clone(), format!("{ended}{DONE_TEXT}")] {
        let seen = play([stream.as_bytes()]);
        assert_eq!(seen.raw, format!("{ended}{DONE_TEXT}"));
        assert_eq!(seen.marks, [Mark::Content, Mark::End, Mark::End]);
        assert_eq!(seen.cut, None);
    }
    let twice = format!("{ended}{DONE_TEXT}{DONE_TEXT}{}", text("late"));
    assert_eq!(play([twice.as_bytes()]).raw, format!("{ended}{DONE_TEXT}"));
}

#[test]
fn the_marker_after_content_is_an_end_and_alone_it_is_none() {
    assert_eq!(
        marks(&format!("{}{DONE_TEXT}", text("a"))),
        [Mark::Content, Mark::End]
    );
    let seen = play([DONE_TEXT.as_bytes()]);
    assert!(seen.cut.is_some() && !seen.marks.contains(&Mark::End));
}

#[test]
fn fm_36_a_stream_without_an_end_never_looks_complete() {
    for stream in [
        String::new(),
        text("a"),
        format!("{}data: {{\"choices\":[{{\"ind", text("a")),
        format!("{}: still here\n\n", text("a")),
        text("a") + &chunk(r#"{"index":0,"delta":{},"finish_reason":""}"#),
    ] {
        let seen = play([stream.as_bytes()]);
        assert!(seen.cut.is_some(), "{stream}");
        assert!(!seen.raw.contains("[DONE]"), "{stream}");
    }
}

#[test]
fn every_choice_must_end() {
    let one = |index: u8, rest: &str| chunk(&format!("{{\"index\":{index},{rest}}}"));
    let (say, end) = (r#""delta":{"content":"x"}"#, r#""finish_reason":"stop""#);
    let half = [one(0, say), one(1, say), one(0, end)].concat();
    assert_eq!(marks(&half), [Mark::Content, Mark::Content, Mark::Role]);
    assert!(play([half.as_bytes()]).cut.is_some());
    let seen = play([(half + &one(1, end)).as_bytes()]);
    assert_eq!(seen.cut, None);
    assert_eq!(seen.marks[3..], [Mark::End, Mark::End]);
}

#[test]
fn a_last_event_without_its_blank_line_counts() {
    for (tail, owed) in [("", "\n\n"), ("\n", "\n"), ("\r\n", "\n"), ("\r", "\n\n")] {
        let stream = format!("{}data: [DONE]{tail}", text("a"));
        let seen = play([stream.as_bytes()]);
        assert_eq!(seen.raw, format!("{stream}{owed}"));
        assert_eq!(seen.marks, [Mark::Content, Mark::End]);
    }
    let stream = format!("{}{}", text("a"), stop().trim_end());
    let seen = play([stream.as_bytes()]);
    assert_eq!(seen.raw, format!("{stream}\n\n{DONE_TEXT}"));
}

#[test]
fn fm_35_three_broken_events_are_left_out_and_the_fourth_cuts() {
    let broken = "data: {\"choices\":[{\"delta\n\n";
    let stream = |count| {
        let mut all = text("a");
        for _ in 0..count {
            all += broken;
            all += &text("b");
        }
        all + &stop()
    };
    let seen = play([stream(3).as_bytes()]);
    assert_eq!(seen.cut, None);
    assert_eq!(seen.raw, stream(3).replace(broken, "") + DONE_TEXT);
    assert!(play([stream(4).as_bytes()]).cut.is_some());
}

#[test]
fn failures_within_a_stream_are_told() {
    for (event, status) in [
        (
            r#"data: {"error":{"message":"slow","type":"rate_limit_error"}}"#,
            429,
        ),
        (r#"data: {"choices":[],"error":{"code":502}}"#, 502),
        (
            r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#,
            500,
        ),
        (r#"data: {"object":"error","message":"x","code":400}"#, 400),
        (r#"error: {"code":500,"message":"x"}"#, 500),
        ("event: error\r\ndata: {\"error\":\"overloaded\"}", 503),
    ] {
        let seen = play([format!("{event}\n\n").as_bytes()]);
        assert_eq!(seen.marks, [Mark::Error], "{event}");
        assert_eq!(seen.failure, Some(status), "{event}");
        assert!(seen.cut.is_some(), "{event}");
    }
}

#[test]
fn nothing_that_follows_a_failure_makes_it_an_end() {
    let failure = "data: {\"error\":{\"code\":500}}\n\n";
    let seen = play([[&text("a"), failure, &stop(), DONE_TEXT]
        .concat()
        .as_bytes()]);
    assert_eq!(seen.raw, text("a") + failure);
    assert!(seen.cut.is_some());
}

#[test]
fn fm_41_usage_is_read_wherever_it_stands_and_nonsense_is_not() {
    let told = |event: &str| play([format!("data: {event}\n\n").as_bytes()]).usage;
    let want = Some(Usage {
        input: 3,
        output: 2,
        estimated: false,
    });
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#;
    assert_eq!(told(&format!("{{\"choices\":[],{usage}}}")), want);
    assert_eq!(told(&format!("{{\"choices\":[{{{usage}}}]}}")), want);
    assert_eq!(told(&format!("{{\"x_groq\":{{{usage}}}}}")), want);
    for nonsense in ["null", "-1", "1e999", "9999999999999999999999", "\"3\""] {
        let event = format!(r#"{{"usage":{{"prompt_tokens":{nonsense},"completion_tokens":0}}}}"#);
        assert_eq!(told(&event), None, "{nonsense}");
    }
}

#[test]
fn a_likeness_is_no_licence_for_broken_text() {
    let padded = |said: &str, padding: &str| {
        let tail = format!("],\"obfuscation\":\"{padding}\"}}");
        text(said).replace("]}", &tail)
    };
    for padding in [None, Some("x"), Some("")] {
        let chunk = |said: &str| padding.map_or_else(|| text(said), |it| padded(said, it));
        for (odd, mark) in [
            (chunk(r"\x"), None),
            (chunk("a\"b"), None),
            (chunk("a\\"), None),
            (chunk(" "), Some(Mark::Role)),
            (chunk(r"\n\u0020x"), Some(Mark::Content)),
            (chunk(r#"say \"hi\"\\"#), Some(Mark::Content)),
            (padded("b", "longer"), Some(Mark::Content)),
            (padded("b", "\u{1}\""), None),
        ] {
            let seen = play([format!("{}{odd}", chunk("a")).as_bytes()]);
            assert_eq!(seen.marks.get(1).copied(), mark, "{odd}");
        }
    }
}

#[test]
fn fm_38_an_event_over_the_limit_cuts() {
    let seen = play([text(&"x".repeat(5000)).as_bytes()]);
    assert!(seen.cut.unwrap().contains("4096 bytes"));
}

#[test]
fn good_frames_are_a_slice_of_their_piece() {
    let piece = Bytes::from([text("a"), text("b")].concat());
    let frames = Stream::new(4096).push(piece.clone()).unwrap().unwrap();
    assert_eq!(frames.raw().as_ptr(), piece.as_ptr());
}

proptest! {
    #[test]
    fn fm_40_the_pieces_a_stream_arrives_in_change_nothing(
        events in prop::collection::vec(
            prop_oneof![
                "[a-z é]{0,5}".prop_map(|it| text(&it)),
                Just(": note\r\n\r\n".to_owned()),
                Just("data: {broken\n\n".to_owned()),
                Just(chunk(r#"{"index":1,"delta":{"content":"x"}}"#)),
                Just(chunk(r#"{"index":1,"finish_reason":"length"}"#)),
                Just(chunk(r#"{"index":0,"finish_reason":"stop"}"#)),
                Just(DONE_TEXT.to_owned()),
            ],
            0..14,
        ),
        cuts in prop::collection::vec(0usize..900, 0..10),
    ) {
        let stream = events.concat();
        let bytes = stream.as_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let split = play(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]));
        let single = play([bytes]);
        prop_assert_eq!(&split.cut, &single.cut);
        if split.cut.is_none() {
            prop_assert_eq!(split, single);
        }
    }

    #[test]
    fn a_frame_bears_the_mark_it_would_bear_alone(
        said in r#"[a"\\nu0 {}\u{1}é]{0,8}"#,
        padding in proptest::option::of(r#"[x"\\]{0,3}"#),
    ) {
        let padding = padding.map_or("]}".to_owned(), |it| format!("],\"obfuscation\":\"{it}\"}}"));
        let [first, odd] = ["a", &said].map(|said| text(said).replace("]}", &padding));
        let both = marks(&format!("{first}{odd}"));
        prop_assert_eq!(both, [marks(&first), marks(&odd)].concat());
    }

    #[test]
    fn any_bytes_are_survived(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let seen = play(pieces.iter().map(|piece| &piece[..]));
        prop_assert!(seen.cut.is_some());
    }
}
