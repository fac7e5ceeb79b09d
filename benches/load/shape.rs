//! The shapes of requests that are measured.

use std::net::SocketAddr;

use crate::servers::KEY;

/// A kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// About 200 bytes in, 400 out.
    Small,
    /// A prompt of 64 KB, 400 bytes out.
    Prompt,
    /// A stream with a pause before each chunk, on many connections.
    Paced,
    /// A stream whose chunks all come at once.
    Burst,
}

impl Shape {
    /// Each once, in the order of their declaration.
    pub(crate) const ALL: [Self; 4] = [Self::Small, Self::Prompt, Self::Paced, Self::Burst];

    /// How many of its requests run at once.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Small | Self::Prompt | Self::Burst => 64,
            Self::Paced => 128,
        }
    }

    /// Whether its cost is counted by chunk, else by request.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Paced | Self::Burst)
    }

    /// The request to `host`, head and body, as a client of the Python SDK would send it: messages first.
    pub(crate) fn request(self, host: SocketAddr) -> Vec<u8> {
        let body = self.body();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\nuser-agent: load\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn body(self) -> String {
        let prompt = match self {
            Self::Prompt => {
                // Prose with a quotation now and then: a scanner that stops at each escape shows it.
                let sentence = r#"The keeper wrote \"all is well\" into the book and went up the stairs once more.\n"#;
                sentence.repeat(64 * 1024 / sentence.len())
            }
            _ => "Name the three largest lighthouses of the northern coast, with their heights."
                .to_owned(),
        };
        let settings = match self {
            Self::Small | Self::Prompt => "",
            Self::Paced => r#","stream":true,"pace_ms":5"#,
            Self::Burst => r#","stream":true"#,
        };
        format!(
            r#"{{"messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{prompt}"}}],"model":"bench","temperature":0.2{settings}}}"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_json_of_its_size() {
        for (shape, sizes) in [
            (Shape::Small, 180..260),
            (Shape::Prompt, 64_000..67_000),
            (Shape::Paced, 200..300),
        ] {
            let body = shape.body();
            serde_json::from_str::<serde_json::Value>(&body).expect("a JSON body");
            assert!(
                sizes.contains(&body.len()),
                "{shape:?} has {} bytes",
                body.len()
            );
        }
    }
}
