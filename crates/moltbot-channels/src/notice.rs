//! What a sender is told where no answer can be given, in his language.

use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice<'a> {
    /// Too many messages; so long until the next may come.
    Limited(Duration),
    /// A filter blocked the message.
    BlockedIn,
    /// A filter blocked the answer.
    BlockedOut,
    /// The model failed.
    Failed,
    /// The message held no text.
    NoText,
    /// `/new` was said.
    New,
    /// `/help` was said.
    Help,
    /// `/model` chose a model.
    Model(&'a str),
    /// `/model` named one that may not be used here.
    NoModel(&'a str),
    /// `/model` named none: these may be used, the first is in use.
    Models(&'a str, &'a [String]),
}

/// Writes a notice: in Chinese for a text in Chinese, else in English.
pub(crate) fn write(notice: Notice<'_>, text: &str) -> String {
    let zh = is_chinese(text);
    match notice {
        Notice::Limited(wait) => {
            let seconds = wait.as_secs().max(1);
            match zh {
                true => format!("消息太多了，请在 {seconds} 秒后再试。"),
                false => format!("Too many messages; please try again in {seconds} s."),
            }
        }
        Notice::BlockedIn => pick(
            zh,
            "这条消息含有不允许发送的内容，未被处理。",
            "This message holds content that is not allowed here; it was not processed.",
        ),
        Notice::BlockedOut => pick(
            zh,
            "回答含有不允许显示的内容，已被拦截。",
            "The answer held content that is not allowed here; it was withheld.",
        ),
        Notice::Failed => pick(
            zh,
            "抱歉，暂时无法回答，请稍后再试。",
            "Sorry, no answer is possible right now; please try again later.",
        ),
        Notice::NoText => pick(
            zh,
            "目前只能处理文字消息。",
            "Only text messages are understood here.",
        ),
        Notice::New => pick(zh, "已开始新的对话。", "A new conversation begins."),
        Notice::Help => pick(
            zh,
            "直接提问即可。\n\n- `/new`：开始新的对话\n- `/model NAME`：换用其他模型，不带名称则列出可用模型\n- `/help`：显示本说明",
            "Just ask.\n\n- `/new` begins a new conversation\n- `/model NAME` chooses another model; without a name it lists them\n- `/help` shows this",
        ),
        Notice::Model(name) => match zh {
            true => format!("之后由 `{name}` 回答。"),
            false => format!("`{name}` answers from now on."),
        },
        Notice::NoModel(name) => match zh {
            true => format!("这里没有模型 `{name}`。发送 `/model` 查看可用模型。"),
            false => {
                format!("There is no model `{name}` here. `/model` lists those that can be used.")
            }
        },
        Notice::Models(used, names) => {
            let mut list = match zh {
                true => format!("当前模型：`{used}`。可用模型：\n"),
                false => format!("`{used}` answers now. These can be used:\n"),
            };
            for name in names {
                list.push_str("\n- `");
                list.push_str(name);
                list.push('`');
            }
            list
        }
    }
}

fn pick(zh: bool, chinese: &str, english: &str) -> String {
    if zh { chinese } else { english }.to_owned()
}

/// Whether a text is in Chinese: it has Han characters, and no kana, which Japanese would have.
pub(crate) fn is_chinese(text: &str) -> bool {
    let is_kana = |c: char| matches!(c, '\u{3040}'..='\u{30ff}');
    let is_han = |c: char| matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}');
    text.chars().any(is_han) && !text.chars().any(is_kana)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_that_of_the_message() {
        assert!(is_chinese("你好"));
        assert!(is_chinese("check 订单 please"));
        for other in [
            "hello",
            "",
            "1234",
            "これは何ですか",
            "日本語で書く",
            "Привет",
        ] {
            assert!(!is_chinese(other), "{other}");
        }
        assert!(write(Notice::Failed, "怎么了").contains("抱歉"));
        assert!(write(Notice::Failed, "why").contains("Sorry"));
    }
}
