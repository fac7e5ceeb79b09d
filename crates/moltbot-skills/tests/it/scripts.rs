//! What scripts find: modules, `ctx`, and the usual globals.

use moltbot_skills::{FaultKind, Outcome, Said};
use moltbot_types::Caller;
use serde_json::json;

use crate::support::{Home, answer};

#[tokio::test]
async fn both_forms_of_modules_export_a_handler() {
    assert_eq!(
        answer("module.exports = async (ctx) => 'c ' + ctx.text").await,
        "c hello"
    );
    assert_eq!(
        answer("export default async (ctx) => 'e ' + ctx.text").await,
        "e hello"
    );
    assert_eq!(
        answer("export default function (ctx) { return ctx.text }").await,
        "hello"
    );
    assert_eq!(answer("exports.default = (ctx) => ctx.text").await, "hello");
}

#[tokio::test]
async fn fine_print_8_files_of_the_own_folder_are_imported_and_types_are_stripped() {
    let home = Home::new();
    home.write("a/skill.yaml", "name: a\nentry: index.ts")
        .write(
            "a/index.ts",
            "import { double } from './lib/double';\nimport faq from './faq.md';\nimport rates from './rates.json';\nimport old from './old.cjs';\nimport type { Ctx } from './types';\nexport default async (ctx: Ctx): Promise<string> => [double(ctx.text as string), faq.trim(), rates.eur, old.name].join('|');",
        )
        .write("a/types.ts", "export interface Ctx { text: string }")
        .write("a/lib/double.ts", "export const double = (t: string): string => t + t;")
        .write("a/faq.md", "# Questions\n")
        .write("a/rates.json", "{\"eur\": 1.5}")
        .write("a/old.cjs", "const rates = require('./rates'); exports.name = 'old ' + rates.eur;");
    assert!(home.library.look(&[]).await.is_empty());
    assert_eq!(home.answer("ab").await, "abab|# Questions|1.5|old 1.5");
}

#[tokio::test]
async fn an_import_from_outside_the_folder_is_refused_by_name() {
    let home = Home::new();
    home.write("a/skill.yaml", "name: a");
    home.write(
        "a/index.js",
        "import fs from 'fs';\nexport default () => 'x'",
    );
    let wrong = home.library.look(&[]).await;
    assert!(
        wrong[0].contains("index.js imports fs: there are no packages"),
        "{wrong:?}"
    );
    let home = Home::skill("", "module.exports = () => require('../b/index.js')").await;
    assert!(
        home.fault("x")
            .await
            .message
            .contains("no file of this skill")
    );
}

#[tokio::test]
async fn ctx_holds_what_was_said_and_where() {
    let home = Home::skill(
        "triggers: [{ regex: '^order (?<id>\\d+)( x)?$' }]",
        "module.exports = (ctx) => JSON.stringify({ text: ctx.text, whole: ctx.match[0], first: ctx.match[1], id: ctx.match.groups.id, none: ctx.match[2] === undefined, sender: ctx.sender, channel: ctx.channel, workspace: ctx.workspace, history: ctx.history, tool: ctx.tool, args: ctx.args === undefined })",
    )
    .await;
    let said = Said {
        sender: Some("u1".into()),
        channel: Some("slack".into()),
        history: vec![
            ("user".into(), "hi".into()),
            ("assistant".into(), "ho".into()),
        ],
        ..Said::text(Caller::anonymous(), "order 12")
    };
    let Outcome::Answer(answer) = home.say(said).await.outcome else {
        panic!("no answer");
    };
    let heard: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let expected = json!({
        "text": "order 12", "whole": "order 12", "first": "12", "id": "12", "none": true,
        "sender": "u1", "channel": "slack", "workspace": "default",
        "history": [{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "ho" }],
        "tool": false, "args": true,
    });
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn fine_print_8_args_are_the_rest_of_a_command_or_the_arguments_of_a_tool() {
    let home = Home::skill(
        "triggers: [{ command: /a }]",
        "module.exports = (ctx) => JSON.stringify([ctx.args, ctx.tool])",
    )
    .await;
    assert_eq!(home.answer("/a  b c").await, "[\"b c\",false]");
    let said = Said {
        arguments: Some(json!({ "id": 7 })),
        ..Said::text(Caller::anonymous(), "")
    };
    let ended = home.say(said).await;
    assert_eq!(ended.outcome, Outcome::Answer("[{\"id\":7},true]".into()));
}

#[tokio::test]
async fn fine_print_8_what_a_handler_returns_is_an_answer_a_pass_nothing_or_an_error() {
    let outcome = async |returned: &str| {
        let script = format!("module.exports = async () => ({returned})");
        Home::skill("", &script).await.run("x").await.outcome
    };
    assert_eq!(outcome("'a'").await, Outcome::Answer("a".into()));
    assert_eq!(outcome("{ text: 'a' }").await, Outcome::Answer("a".into()));
    assert_eq!(
        outcome("{ text: 'a', pass: true }").await,
        Outcome::Pass("a".into())
    );
    for nothing in ["undefined", "null", "''", "{ text: '' }"] {
        assert_eq!(outcome(nothing).await, Outcome::Nothing, "{nothing}");
    }
    for wrong in [
        "7",
        "true",
        "['a']",
        "{}",
        "{ text: 7 }",
        "{ text: 'a', pass: 1 }",
    ] {
        let Outcome::Fault(fault) = outcome(wrong).await else {
            panic!("{wrong} is no error");
        };
        assert_eq!(fault.kind, FaultKind::Threw);
    }
}

#[tokio::test]
async fn a_failure_names_file_and_line() {
    let home = Home::new();
    home.write("a/skill.yaml", "name: a")
        .write("a/index.js", "import { f } from './lib.js';\nexport default async (ctx) => {\n  await null;\n  return f(ctx);\n};")
        .write("a/lib.js", "export function f(ctx) {\n  return ctx.nothing.at.all;\n}");
    assert!(home.library.look(&[]).await.is_empty());
    let fault = home.fault("x").await;
    assert_eq!(
        (fault.file.as_deref(), fault.line),
        (Some("lib.js"), Some(2)),
        "{fault:?}"
    );
    let listed = home.library.find(&Default::default(), "a").unwrap();
    let last = listed.last_error.unwrap();
    assert_eq!(
        (last.file.as_deref(), last.line, listed.errors),
        (Some("lib.js"), Some(2), 1)
    );

    for (script, line) in [
        ("\n\nmodule.exports = () => { throw new Error('x') }", 3),
        (
            "module.exports = async (ctx) => {\n  await ctx.kv.get('x');\n}",
            2,
        ),
        ("\nthrow new TypeError('at load')", 2),
        ("module.exports = (ctx) =>\n  ctx.log.nothing()", 2),
    ] {
        let fault = Home::skill("", script).await.fault("x").await;
        assert_eq!(
            (fault.file.as_deref(), fault.line),
            (Some("index.js"), Some(line)),
            "{fault:?}"
        );
    }
    let fault = Home::skill("", "module.exports = () => { throw 'text' }")
        .await
        .fault("x")
        .await;
    assert_eq!(fault.message, "threw \"text\"");
    let fault = Home::skill("", "exports.x = 1").await.fault("x").await;
    assert!(fault.message.contains("exports no handler"), "{fault}");
    let fault = Home::skill("", "module.exports = () => new Promise(() => {})")
        .await
        .fault("x")
        .await;
    assert!(fault.message.contains("never comes"), "{fault}");
}

#[tokio::test]
async fn what_is_no_script_is_broken_with_file_and_line() {
    for (file, text, place) in [
        (
            "a/index.js",
            "module.exports = () => {\n  return 1 +;\n}",
            "skills/a/index.js:2:",
        ),
        (
            "a/index.js",
            "export default () => {\n\n  return 1 +;\n}",
            "skills/a/index.js:3:",
        ),
        ("a/data.json", "{\n x }", "skills/a/data.json:2:"),
        ("a/lib.ts", "\nenum A { B }", "skills/a/lib.ts:2: an enum"),
    ] {
        let home = Home::new();
        home.write("a/skill.yaml", "name: a")
            .write("a/index.js", "module.exports = () => 'a'");
        home.write(file, text);
        let wrong = home.library.look(&[]).await;
        assert!(wrong[0].starts_with(place), "{wrong:?}");
    }
}

#[tokio::test]
async fn fine_print_8_nothing_lives_from_one_call_to_the_next_but_kv() {
    let home = Home::skill(
        "permissions: { kv: true }",
        "let n = 0; globalThis.m ??= 0; Array.prototype.mine ??= 0;\nexport default async (ctx) => { n++; globalThis.m++; Array.prototype.mine++; const k = ((await ctx.kv.get('k')) ?? 0) + 1; await ctx.kv.set('k', k); return [n, globalThis.m, Array.prototype.mine, k].join() }",
    )
    .await;
    assert_eq!(home.answer("x").await, "1,1,1,1");
    assert_eq!(home.answer("x").await, "1,1,1,2");
}

#[tokio::test]
async fn fine_print_8_kv_keeps_json_up_to_64_kib_and_throws_without_permission() {
    let script = "export default async (ctx) => { await ctx.kv.set('k', { a: [1, 'ü'] }); const { a } = await ctx.kv.get('k'); await ctx.kv.delete('k'); let big; try { await ctx.kv.set('b', 'x'.repeat(65536)) } catch (e) { big = e.message } return JSON.stringify([a, await ctx.kv.get('k') === undefined, big]) }";
    let home = Home::skill("permissions: { kv: true }", script).await;
    let answer = home.answer("x").await;
    assert!(
        answer.starts_with("[[1,\"ü\"],true,\"kv: the value of b is larger"),
        "{answer}"
    );
    let fault = Home::skill("", script).await.fault("x").await;
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    assert!(fault.message.contains("kv: true"));
}

#[tokio::test]
async fn fine_print_8_a_secret_is_async_undefined_where_there_is_none_and_throws_where_not_granted()
{
    let home = Home::skill(
        "permissions: { secrets: [ORDER_TOKEN, OTHER] }",
        "export default async (ctx) => { const p = ctx.secret('ORDER_TOKEN'); console.log('it is', await p); return String(p instanceof Promise) + (await ctx.secret('OTHER')) + (await p).length }",
    )
    .await;
    let ended = home.run("x").await;
    assert_eq!(ended.outcome, Outcome::Answer("trueundefined10".into()));
    assert_eq!(ended.logs[0].text, "it is [secret]");
    let home = Home::skill("", "module.exports = (ctx) => ctx.secret('PATH')").await;
    assert_eq!(home.fault("x").await.kind, FaultKind::Denied);
    let home = Home::skill(
        "permissions: { secrets: [ORDER_TOKEN] }",
        "module.exports = async (ctx) => { throw new Error('bad ' + await ctx.secret('ORDER_TOKEN')) }",
    )
    .await;
    assert_eq!(home.fault("x").await.message, "Error: bad [secret]");
}

#[tokio::test]
async fn fine_print_8_model_chat_asks_the_first_permitted_model_and_tells_text_and_usage() {
    let home = Home::skill(
        "permissions: { model: [small, 'local-*'] }",
        "export default async (ctx) => { const { text, usage } = await ctx.model.chat([{ role: 'user', content: 'hi' }]); const other = await ctx.model.chat('hi', { model: 'local-7' }); return text + usage.tokens_out + other.text }",
    )
    .await;
    assert_eq!(
        home.answer("x").await,
        "small says hello4local-7 says hello"
    );
    let asked = home.outside.asked.lock().unwrap().clone();
    let hi = json!([{ "role": "user", "content": "hi" }]);
    assert_eq!(
        asked,
        [("small".into(), 1, hi.clone()), ("local-7".into(), 1, hi)]
    );
    let script =
        "module.exports = async (ctx) => (await ctx.model.chat('x', { model: 'large' })).text";
    let home = Home::skill("permissions: { model: [small] }", script).await;
    assert_eq!(home.fault("x").await.kind, FaultKind::Denied);
}

#[tokio::test]
async fn fine_print_8_fetch_reaches_the_permitted_hosts_and_no_other() {
    let script = "export default async (ctx) => { const r = await ctx.fetch(ctx.text, { method: 'post', headers: { 'X-A': 'b', Host: 'evil' }, body: JSON.stringify({ a: 1 }) }); const { url, body } = await r.json(); return [r.status, r.ok, r.headers.get('Content-Type'), url, body, (await r.text()).length > 0].join() }";
    let home = Home::skill(
        "permissions: { net: ['api.example.com', '127.0.0.1:8080'] }",
        script,
    )
    .await;
    let answer = home.answer("https://api.example.com/x").await;
    assert_eq!(
        answer,
        "200,true,application/json,https://api.example.com/x,{\"a\":1},true"
    );
    let sent = home.outside.fetched.lock().unwrap().pop().unwrap();
    assert_eq!(sent.method, "POST");
    assert!(sent.headers.get("host").is_none() && sent.headers["x-a"] == "b");
    assert!(
        home.answer("http://127.0.0.1:8080/")
            .await
            .starts_with("200")
    );
    for elsewhere in [
        "http://api.example.com/",
        "https://api.example.com:444/",
        "https://evil.example.com/",
        "https://api.example.com.evil.com/",
        "https://user@evil.com/",
        "http://127.0.0.1/",
        "http://[::1]:8080/",
    ] {
        assert_eq!(
            home.fault(elsewhere).await.kind,
            FaultKind::Denied,
            "{elsewhere}"
        );
    }
    for nonsense in ["file:///etc/passwd", "nonsense"] {
        assert_eq!(
            home.fault(nonsense).await.kind,
            FaultKind::Threw,
            "{nonsense}"
        );
    }
}

#[tokio::test]
async fn fine_print_8_the_usual_globals_are_there() {
    for (expression, value) in [
        (
            "new URL('../b?x=1#h', 'https://u:p@ex.com:8080/a/c').href",
            "https://u:p@ex.com:8080/b?x=1#h",
        ),
        (
            "(() => { const u = new URL('https://ex.com/'); u.searchParams.append('q', 'a b&c'); u.hash = 'x'; u.port = '81'; return u.href + u.origin })()",
            "https://ex.com:81/?q=a+b%26c#xhttps://ex.com:81",
        ),
        (
            "(() => { try { new URL('x') } catch (e) { return e.name } })()",
            "TypeError",
        ),
        (
            "URL.canParse('https://ex.com') + '' + URL.canParse('no')",
            "truefalse",
        ),
        (
            "new URLSearchParams('?a=1&b=2&a=3').getAll('a').join()",
            "1,3",
        ),
        (
            "new URLSearchParams({ a: 'ü', b: '+' }).toString()",
            "a=%C3%BC&b=%2B",
        ),
        ("[...new URLSearchParams([['a', '1']])].join()", "a,1"),
        (
            "new TextEncoder().encode('ü€').join()",
            "195,188,226,130,172",
        ),
        (
            "new TextDecoder().decode(new Uint8Array([239, 187, 191, 226, 130, 172, 255]))",
            "€\u{fffd}",
        ),
        (
            "(() => { try { new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255])) } catch (e) { return e.name } })()",
            "TypeError",
        ),
        (
            "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()) + '' + (crypto.randomUUID() !== crypto.randomUUID())",
            "truetrue",
        ),
        (
            "Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode('abc')))).map((b) => b.toString(16).padStart(2, '0')).join('')",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "(await crypto.subtle.digest({ name: 'sha-1' }, new ArrayBuffer(0))).byteLength + ''",
            "20",
        ),
        (
            "await new Promise((go) => { const t = setTimeout(() => go('late'), 50); clearTimeout(t); setTimeout((a) => go(a), 5, 'soon') })",
            "soon",
        ),
        (
            "await new Promise((go) => { let n = 0; const t = setInterval(() => { if (++n === 3) { clearInterval(t); go('3') } }, 1) })",
            "3",
        ),
        (
            "typeof structuredClone + typeof queueMicrotask",
            "undefinedfunction",
        ),
        (
            "[typeof process, typeof Deno, typeof std, typeof os].join()",
            "undefined,undefined,undefined,undefined",
        ),
    ] {
        let script = format!("export default async () => String({expression})");
        assert_eq!(answer(&script).await, value, "{expression}");
    }
}

#[tokio::test]
async fn console_and_log_are_kept_in_order() {
    let home = Home::skill("", "module.exports = (ctx) => { console.log('a', 1, { b: 2 }); ctx.log.warn('w'); console.error(new TypeError('e')) }").await;
    let ended = home.run("x").await;
    let logs: Vec<_> = ended
        .logs
        .iter()
        .map(|line| (line.level.as_str(), line.text.as_str()))
        .collect();
    assert_eq!(
        logs,
        [
            ("info", "a 1 {\"b\":2}"),
            ("warn", "w"),
            ("error", "TypeError: e")
        ]
    );
}

#[tokio::test]
async fn texts_of_any_kind_come_back_as_they_are() {
    let home = Home::skill("", "module.exports = (ctx) => ctx.text").await;
    for text in ["𝒳 ü 订单 \u{2028}\"\\\n", "a\u{0}b", "</script>"] {
        assert_eq!(home.answer(text).await, text);
    }
    let lone = Home::skill("", "module.exports = () => 'a\\ud800b'").await;
    assert_eq!(lone.answer("x").await, "a\u{fffd}b");
}
