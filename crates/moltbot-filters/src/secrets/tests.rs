use super::*;

fn found(text: &str) -> Vec<&str> {
    let secrets = Secrets::new().unwrap();
    let window = Window::new(text, true);
    let (mut at, mut found) = (0, Vec::new());
    while let Step::Found(hit) = secrets.next(window, at, at) {
        at = hit.at.end;
        found.push(&text[hit.at]);
    }
    found
}

#[test]
fn a_key_block_is_found_to_its_last_line_and_without_one() {
    let block = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd=\n-----END RSA PRIVATE KEY-----";
    assert_eq!(found(&format!("see\n{block}\nthanks")), [block]);
    let open = "-----BEGIN PRIVATE KEY-----\nMIIEabcd";
    assert_eq!(found(&format!("{open}（完）")), [open]);
    assert!(found("-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----").is_empty());
}

#[test]
fn a_random_token_counts_beside_a_word_alone() {
    let token = "a8f5f167f44f4964e6c998dee827110c";
    assert_eq!(found(&format!("password: \"{token}\"")), [token]);
    assert_eq!(found(&format!("密码是{token}。")), [token]);
    assert!(found(&format!("md5sum {token}")).is_empty());
    assert!(found("password: correct-horse-battery-staple").is_empty());
}

#[test]
fn a_shape_within_a_word_is_none() {
    assert!(found("xAKIAIOSFODNN7EXAMPLE").is_empty());
    assert!(found("AKIAIOSFODNN7EXAMPLE7").is_empty());
    assert_eq!(found("键AKIAIOSFODNN7EXAMPLE。"), ["AKIAIOSFODNN7EXAMPLE"]);
}

#[test]
fn the_name_of_a_secret_stays_readable() {
    let text = "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    assert_eq!(found(text), ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"]);
}
