use super::*;

fn lines(pieces: &[&[u8]]) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |line: &str| told.push(line.to_owned());
    let mut lines = Lines::default();
    for piece in pieces {
        lines.push(piece, &mut tell);
    }
    lines.end(&mut tell);
    told
}

#[test]
fn lines_are_whole_however_the_bytes_are_split() {
    assert_eq!(
        lines(&[b"load", b"ing\r\n\nread", b"y"]),
        ["loading", "ready"]
    );
}

#[test]
fn a_progress_bar_is_lines() {
    assert_eq!(lines(&[b"\r 10 %\r 20 %\n"]), [" 10 %", " 20 %"]);
}

#[test]
fn a_long_line_is_cut_and_the_next_is_whole() {
    let long = vec![b'x'; 3 * LONGEST];
    let told = lines(&[&long, &long, b"\nnext\n"]);
    assert_eq!(told, [format!("{}…", "x".repeat(LONGEST)), "next".into()]);
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    assert_eq!(lines(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_counted_instead_of_told() {
    let mut rate = Rate::new();
    for _ in 0..LINES {
        assert_eq!(rate.admit(), Some(0));
    }
    for _ in 0..5 {
        assert_eq!(rate.admit(), None);
    }
    tokio::time::advance(WINDOW).await;
    assert_eq!(rate.admit(), Some(5));
    assert_eq!(rate.admit(), Some(0));
}
