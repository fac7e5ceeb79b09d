//! A model's Markdown as HTML that can do nothing: no raw HTML, no images, links to http and https alone.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Writes Markdown as harmless HTML.
///
/// ```
/// use moltbot_channels::web::safe_html;
/// assert_eq!(safe_html("**hi**"), "<p><strong>hi</strong></p>\n");
/// assert_eq!(safe_html("<b>hi</b>"), "<p>&lt;b&gt;hi&lt;/b&gt;</p>\n");
/// assert_eq!(safe_html("[x](javascript:alert(1))"), "<p>x</p>\n");
/// assert_eq!(safe_html("![a cat](https://x.example/c.png)"), "<p>a cat</p>\n");
/// ```
pub fn safe_html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    // Whether each link that is open stays one.
    let mut links: Vec<bool> = Vec::new();
    let events = Parser::new_ext(markdown, options).filter_map(move |event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Link { dest_url, .. }) => {
            links.push(is_web(&dest_url));
            let open = format!(
                "<a href=\"{}\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">",
                escaped(&dest_url)
            );
            is_web(&dest_url).then(|| Event::InlineHtml(CowStr::from(open)))
        }
        Event::End(TagEnd::Link) => {
            let was_web = links.pop().unwrap_or(false);
            was_web.then_some(Event::InlineHtml(CowStr::Borrowed("</a>")))
        }
        // Its language would become a class of the model's choice.
        Event::Start(Tag::CodeBlock(_)) => Some(Event::Start(Tag::CodeBlock(
            pulldown_cmark::CodeBlockKind::Indented,
        ))),
        // The page's own headings come first.
        Event::Start(Tag::Heading { .. }) => {
            Some(Event::InlineHtml(CowStr::Borrowed("<p><strong>")))
        }
        Event::End(TagEnd::Heading(_)) => {
            Some(Event::InlineHtml(CowStr::Borrowed("</strong></p>\n")))
        }
        other => Some(other),
    });
    let mut written = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut written, events);
    written
}

fn is_web(address: &str) -> bool {
    let head = address.get(..8).unwrap_or(address).to_ascii_lowercase();
    head.starts_with("https://") || head.starts_with("http://")
}

fn escaped(text: &str) -> String {
    maud::html! { (text) }.into_string().replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_link_opens_only_http_and_https() {
        let html = safe_html(
            "[a](HTTPS://x.example/?a=1&b=\"2\") [b](data:text/html,x) [c](//x) [d](java\tscript:x)",
        );
        assert_eq!(html.matches("<a ").count(), 1, "{html}");
        assert!(html.contains("rel=\"noopener noreferrer nofollow\""));
    }

    #[test]
    fn code_and_tables_are_shown() {
        let html = safe_html("```rust\"onload=x\nlet a = 1 < 2;\n```\n\n|a|b|\n|-|-|\n|1|2|\n");
        assert!(html.contains("<pre><code>let a = 1 &lt; 2;"), "{html}");
        assert!(
            html.contains("<table>") && !html.contains("onload"),
            "{html}"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_written_no_element_but_harmless_ones_comes_out(text in "[a-z<>\"'&()!\\[\\]#*`|\n:/=-]{0,80}") {
            let html = safe_html(&text);
            let harmless = ["p", "strong", "em", "del", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr", "br", "table", "thead", "tbody", "tr", "th", "td"];
            for piece in html.split('<').skip(1) {
                let name: String = piece.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
                prop_assert!(harmless.contains(&name.as_str()), "<{name}> in {html}");
            }
        }
    }
}
