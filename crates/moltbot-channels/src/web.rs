//! The page of a web chat: made here, whole, without anything from elsewhere.
//!
//! The page works with the paths below its own: `POST messages` takes a message and streams its answer,
//! `chat.js` and `chat.css` are its script and its looks. What a model wrote becomes text and a few harmless
//! elements; it can load nothing and run nothing.

mod markdown;

use std::fmt::Write;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use moltbot_store::sessions::Exchange;

pub use markdown::safe_html;

/// The page's script.
pub const SCRIPT: &str = include_str!("web/chat.js");
/// The page's looks.
pub const STYLE: &str = include_str!("web/chat.css");

/// The language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
}

impl Language {
    /// The language that a browser wants first, of those there are.
    ///
    /// ```
    /// use moltbot_channels::web::Language;
    /// assert_eq!(Language::of("zh-CN,zh;q=0.9,en;q=0.8"), Language::Chinese);
    /// assert_eq!(Language::of("fr, en"), Language::English);
    /// ```
    pub fn of(accept_language: &str) -> Self {
        let mut wanted = accept_language.split(',').map(str::trim_start);
        let known = wanted.find(|tag| tag.starts_with("zh") || tag.starts_with("en"));
        match known {
            Some(tag) if tag.starts_with("zh") => Self::Chinese,
            _ => Self::English,
        }
    }

    fn tag(self) -> &'static str {
        self.pick("en", "zh-CN")
    }

    fn pick<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

/// What a page shows.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Whose chat it is.
    pub workspace: &'a str,
    /// In which language its words are.
    pub language: Language,
    /// What was said before, oldest first.
    pub history: &'a [Exchange],
    /// What embeds it in another page.
    pub snippet: &'a str,
}

/// Writes the page.
pub fn page(page: &Page<'_>) -> String {
    let words = |english, chinese| page.language.pick(english, chinese);
    let base = format!("/chat/{}", page.workspace);
    let title = words("Chat", "聊天");
    html! {
        (DOCTYPE)
        html lang=(page.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (page.workspace) }
                link rel="stylesheet" href={ (base) "/chat.css" };
                script src={ (base) "/chat.js" } defer {}
            }
            body data-base=(base)
                data-thinking=(words("Writing …", "正在输入……"))
                data-failed=(words("The message could not be sent. Please try again.", "消息未能发送，请重试。")) {
                header { h1 { (title) } }
                main {
                    div #log role="log" aria-live="polite" aria-label=(words("Conversation", "对话")) tabindex="0" {
                        @for exchange in page.history {
                            (said("user", words("You", "你"), PreEscaped(text(&exchange.user))))
                            (said("bot", words("Bot", "机器人"), PreEscaped(safe_html(&exchange.assistant))))
                        }
                    }
                    p #state role="status" {}
                    form #form {
                        label for="text" { (words("Message", "消息")) }
                        textarea #text rows="3" required enterkeyhint="send" autocomplete="off"
                            aria-describedby="hint" {}
                        button type="submit" { (words("Send", "发送")) }
                    }
                    p #hint { (words("Enter sends, Shift+Enter breaks the line. /help shows what can be asked.", "按 Enter 发送，Shift+Enter 换行。输入 /help 查看帮助。")) }
                    template #said-user { (said("user", words("You", "你"), html! {})) }
                    template #said-bot { (said("bot", words("Bot", "机器人"), html! {})) }
                }
                footer {
                    details {
                        summary { (words("Embed this chat", "嵌入此聊天")) }
                        pre tabindex="0" { code { (page.snippet) } }
                    }
                }
            }
        }
    }
    .into_string()
}

/// What embeds a chat in another page.
pub fn snippet(address: &str, workspace: &str) -> String {
    format!(
        "<iframe src=\"{address}/chat/{workspace}\" title=\"Chat\" width=\"400\" height=\"600\" style=\"border:0\"></iframe>"
    )
}

/// The policy of the page: nothing from elsewhere, nothing inline; `origins` may embed it.
pub fn content_security_policy(origins: &[String]) -> String {
    let mut policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors".to_owned();
    let usable = origins.iter().filter(|origin| is_origin(origin));
    let mut any = false;
    for origin in usable {
        any = true;
        let _ = write!(policy, " {origin}");
    }
    if !any {
        policy.push_str(" 'none'");
    }
    policy
}

/// Whether a text can stand in a policy: an origin, or `*`.
fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]*".contains(&byte);
    text == "*" || rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

fn said(class: &str, who: &str, text: Markup) -> Markup {
    html! {
        article class=(class) {
            h2 { (who) }
            div class="said" { (text) }
        }
    }
}

/// What a person wrote, as it stands.
fn text(said: &str) -> String {
    html! { p class="plain" { (said) } }.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(language: Language, history: &[Exchange]) -> String {
        page(&Page {
            workspace: "default",
            language,
            history,
            snippet: &snippet("http://127.0.0.1:1", "default"),
        })
    }

    #[test]
    fn the_button_is_named_in_the_visitors_language() {
        assert!(shown(Language::English, &[]).contains(">Send</button>"));
        let chinese = shown(Language::Chinese, &[]);
        assert!(chinese.contains(">发送</button>") && chinese.contains("lang=\"zh-CN\""));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_nothing_stands_inline() {
        let page = shown(Language::English, &[]);
        for part in ["src=\"", "href=\""] {
            for (at, _) in page.match_indices(part) {
                assert!(
                    page[at + part.len()..].starts_with("/chat/default/"),
                    "{page}"
                );
            }
        }
        assert!(!page.contains("<style") && !page.contains("onclick"));
        assert!(page.contains("&lt;iframe"), "the snippet is shown as text");
    }

    #[test]
    fn what_people_and_models_wrote_runs_nothing() {
        let evil = "<script>alert(1)</script><img src=x onerror=alert(1)>".to_owned();
        let history = [Exchange {
            user: evil.clone(),
            assistant: evil,
        }];
        let page = shown(Language::English, &history);
        assert!(
            !page.contains("<script>alert") && !page.contains("<img"),
            "{page}"
        );
        assert_eq!(page.matches("&lt;script&gt;").count(), 2);
    }

    #[test]
    fn only_named_origins_may_embed() {
        let none = content_security_policy(&[]);
        assert!(none.starts_with("default-src 'none'; script-src 'self';"));
        assert!(none.ends_with("frame-ancestors 'none'"));
        let origins = ["https://a.example".to_owned(), "x; script-src *".to_owned()];
        let some = content_security_policy(&origins);
        assert!(
            some.ends_with("frame-ancestors https://a.example"),
            "{some}"
        );
    }
}
