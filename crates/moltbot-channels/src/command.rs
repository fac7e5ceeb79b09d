//! What a sender may tell the bot itself: `/new`, `/help`, `/model NAME`.

/// A command that the bot answers without a model. It wins over a skill's of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A new context.
    New,
    /// What can be asked.
    Help,
    /// Another model; without a name, which ones there are.
    Model(Option<&'a str>),
}

impl<'a> Command<'a> {
    /// The names, for whoever must not use them.
    pub const NAMES: [&'static str; 3] = ["/new", "/help", "/model"];

    /// Reads a command. `/new@bot`, as groups write it, is the same.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (head, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let name = head.split_once('@').map_or(head, |(name, _)| name);
        let rest = rest.trim();
        match name {
            "/new" => Some(Self::New),
            "/help" => Some(Self::Help),
            "/model" => Some(Self::Model((!rest.is_empty()).then_some(rest))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(Command::parse("/new"), Some(Command::New));
        assert_eq!(Command::parse(" /new@moltbot "), Some(Command::New));
        assert_eq!(Command::parse("/help\nme"), Some(Command::Help));
        assert_eq!(Command::parse("/model"), Some(Command::Model(None)));
        let other = Command::Model(Some("other-model"));
        assert_eq!(Command::parse("/model@bot  other-model "), Some(other));
        for text in ["new", "/news", "say /new", "/NEW", "", "/"] {
            assert_eq!(Command::parse(text), None, "{text}");
        }
    }
}
