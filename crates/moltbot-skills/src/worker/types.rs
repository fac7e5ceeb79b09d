//! TypeScript without its types: they become blanks, so every line and column stays where it is.
//!
//! What would be code is refused by name: enums, namespaces with values, parameter properties, `import =`,
//! `export =`. An import of nothing but types says `import type`.

use oxc_allocator::Allocator;
use oxc_ast::ast::*;
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType, Span};
use oxc_syntax::scope::ScopeFlags;

use super::protocol::Trouble;

/// Words before a member of a class that only a type checker reads.
const MODIFIERS: [&str; 7] = [
    "public",
    "private",
    "protected",
    "readonly",
    "abstract",
    "override",
    "declare",
];

/// Blanks the types of a file.
///
/// # Errors
/// What is no TypeScript, and what of it is code rather than type; with the line.
pub(super) fn strip(path: &str, text: &str) -> Result<String, Trouble> {
    let arena = Allocator::default();
    let parsed = Parser::new(&arena, text, SourceType::ts()).parse();
    let at = |offset: usize, message: String| Trouble {
        file: Some(path.to_owned()),
        line: Some(
            1 + text
                .bytes()
                .take(offset)
                .filter(|byte| *byte == b'\n')
                .count() as u32,
        ),
        ..Trouble::threw(message)
    };
    if let Some(wrong) = parsed.diagnostics.iter().next() {
        let labels = wrong.labels.iter().next();
        let offset = labels.map_or(0, |label| label.offset() as usize);
        return Err(at(offset, format!("SyntaxError: {wrong}")));
    }
    let mut blanks = Blanks {
        text,
        out: text.as_bytes().to_vec(),
        refused: None,
    };
    blanks.visit_program(&parsed.program);
    if let Some((span, what)) = blanks.refused {
        let words = format!(
            "{what} is code, not a type: TypeScript's types are stripped, nothing is compiled"
        );
        return Err(at(span.start as usize, words));
    }
    String::from_utf8(blanks.out).map_err(|_| at(0, "the file can't be read".to_owned()))
}

struct Blanks<'t> {
    text: &'t str,
    out: Vec<u8>,
    refused: Option<(Span, &'static str)>,
}

impl Blanks<'_> {
    /// Blanks from one offset to another; line ends stay.
    fn range(&mut self, from: u32, to: u32) {
        for byte in &mut self.out[from as usize..to as usize] {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }

    fn span(&mut self, span: Span) {
        self.range(span.start, span.end);
    }

    /// Blanks a whole statement or member; a `;` in its place keeps its neighbours apart.
    fn statement(&mut self, span: Span) {
        self.span(span);
        self.out[span.start as usize] = b';';
    }

    /// Blanks a list entry with the comma that follows it.
    fn entry(&mut self, span: Span) {
        self.span(span);
        let rest = &self.text[span.end as usize..];
        let comma = rest.len() - rest.trim_start().len();
        if rest[comma..].starts_with(',') {
            let comma = span.end + comma as u32;
            self.range(comma, comma + 1);
        }
    }

    /// Blanks the marks `?` and `!` between a name and what follows it.
    fn marks(&mut self, from: u32, to: u32) {
        for byte in &mut self.out[from as usize..to as usize] {
            if matches!(byte, b'?' | b'!') {
                *byte = b' ';
            }
        }
    }

    /// Blanks modifiers between the begin of a member and its name.
    fn modifiers(&mut self, from: u32, to: u32) {
        let text = &self.text[from as usize..to as usize];
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let mut at = 0;
        while let Some(begin) = text[at..].find(is_word).map(|begin| at + begin) {
            let end = text[begin..].find(|c| !is_word(c));
            let end = end.map_or(text.len(), |length| begin + length);
            if MODIFIERS.contains(&&text[begin..end]) {
                self.range(from + begin as u32, from + end as u32);
            }
            at = end;
        }
    }

    fn refuse(&mut self, span: Span, what: &'static str) {
        self.refused.get_or_insert((span, what));
    }
}

impl<'a> Visit<'a> for Blanks<'_> {
    fn visit_ts_type_annotation(&mut self, it: &TSTypeAnnotation<'a>) {
        self.span(it.span);
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &TSTypeParameterDeclaration<'a>) {
        self.span(it.span);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &TSTypeParameterInstantiation<'a>) {
        self.span(it.span);
    }

    fn visit_ts_this_parameter(&mut self, it: &TSThisParameter<'a>) {
        self.entry(it.span);
    }

    fn visit_ts_type_alias_declaration(&mut self, it: &TSTypeAliasDeclaration<'a>) {
        self.statement(it.span);
    }

    fn visit_ts_interface_declaration(&mut self, it: &TSInterfaceDeclaration<'a>) {
        self.statement(it.span);
    }

    fn visit_ts_global_declaration(&mut self, it: &TSGlobalDeclaration<'a>) {
        self.statement(it.span);
    }

    fn visit_ts_external_module_declaration(&mut self, it: &TSExternalModuleDeclaration<'a>) {
        self.statement(it.span);
    }

    fn visit_ts_namespace_export_declaration(&mut self, it: &TSNamespaceExportDeclaration<'a>) {
        self.statement(it.span);
    }

    fn visit_ts_namespace_declaration(&mut self, it: &TSNamespaceDeclaration<'a>) {
        match it.declare {
            true => self.statement(it.span),
            false => self.refuse(it.span, "a namespace"),
        }
    }

    fn visit_ts_enum_declaration(&mut self, it: &TSEnumDeclaration<'a>) {
        match it.declare {
            true => self.statement(it.span),
            false => self.refuse(it.span, "an enum"),
        }
    }

    fn visit_ts_import_equals_declaration(&mut self, it: &TSImportEqualsDeclaration<'a>) {
        self.refuse(it.span, "`import =`");
    }

    fn visit_ts_export_assignment(&mut self, it: &TSExportAssignment<'a>) {
        self.refuse(it.span, "`export =`");
    }

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.range(it.expression.span().end, it.span.end);
        walk::walk_expression(self, &it.expression);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.range(it.expression.span().end, it.span.end);
        walk::walk_expression(self, &it.expression);
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.range(it.expression.span().end, it.span.end);
        walk::walk_expression(self, &it.expression);
    }

    fn visit_ts_type_assertion(&mut self, it: &TSTypeAssertion<'a>) {
        self.range(it.span.start, it.expression.span().start);
        walk::walk_expression(self, &it.expression);
    }

    fn visit_variable_declaration(&mut self, it: &VariableDeclaration<'a>) {
        match it.declare {
            true => self.statement(it.span),
            false => walk::walk_variable_declaration(self, it),
        }
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if it.definite
            && let Some(annotation) = &it.type_annotation
        {
            self.marks(it.id.span().end, annotation.span.start);
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        match it.declare || it.body.is_none() {
            true => self.statement(it.span),
            false => walk::walk_function(self, it, flags),
        }
    }

    fn visit_formal_parameter(&mut self, it: &FormalParameter<'a>) {
        if it.accessibility.is_some() || it.readonly || it.r#override {
            self.refuse(it.span, "a parameter property");
        }
        if it.optional {
            let annotation = it.type_annotation.as_ref();
            let end = annotation.map_or(it.span.end, |annotation| annotation.span.start);
            self.marks(it.pattern.span().end, end);
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        if it.declare {
            return self.statement(it.span);
        }
        if it.r#abstract {
            let class = self.text[it.span.start as usize..].find("class");
            self.modifiers(it.span.start, it.span.start + class.unwrap_or(0) as u32);
        }
        if let (Some(first), Some(last)) = (it.implements.first(), it.implements.last()) {
            let before = &self.text[..first.span.start as usize];
            let word = before.rfind("implements").unwrap_or(before.len());
            self.range(word as u32, last.span.end);
        }
        walk::walk_class(self, it);
    }

    fn visit_ts_class_implements(&mut self, _: &TSClassImplements<'a>) {}

    fn visit_ts_index_signature(&mut self, it: &TSIndexSignature<'a>) {
        self.statement(it.span);
    }

    fn visit_method_definition(&mut self, it: &MethodDefinition<'a>) {
        if it.value.body.is_none() {
            return self.statement(it.span);
        }
        self.modifiers(it.span.start, it.key.span().start);
        if it.optional {
            self.marks(it.key.span().end, it.value.params.span.start);
        }
        walk::walk_method_definition(self, it);
    }

    fn visit_property_definition(&mut self, it: &PropertyDefinition<'a>) {
        if it.declare || it.r#type == PropertyDefinitionType::TSAbstractPropertyDefinition {
            return self.statement(it.span);
        }
        self.modifiers(it.span.start, it.key.span().start);
        if it.optional || it.definite {
            let annotation = it
                .type_annotation
                .as_ref()
                .map(|annotation| annotation.span.start);
            let value = it.value.as_ref().map(|value| value.span().start);
            self.marks(
                it.key.span().end,
                annotation.or(value).unwrap_or(it.span.end),
            );
        }
        walk::walk_property_definition(self, it);
    }

    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        match it.import_kind {
            ImportOrExportKind::Type => self.statement(it.span),
            ImportOrExportKind::Value => walk::walk_import_declaration(self, it),
        }
    }

    fn visit_import_specifier(&mut self, it: &ImportSpecifier<'a>) {
        if it.import_kind == ImportOrExportKind::Type {
            self.entry(it.span);
        }
    }

    fn visit_export_declaration(&mut self, it: &ExportDeclaration<'a>) {
        match &it.declaration {
            Declaration::TSTypeAliasDeclaration(_) | Declaration::TSInterfaceDeclaration(_) => {
                self.statement(it.span);
            }
            declaration if declaration.declare() => self.statement(it.span),
            Declaration::FunctionDeclaration(function) if function.body.is_none() => {
                self.statement(it.span);
            }
            _ => walk::walk_export_declaration(self, it),
        }
    }

    fn visit_export_default_declaration(&mut self, it: &ExportDefaultDeclaration<'a>) {
        match &it.declaration {
            ExportDefaultDeclarationKind::TSInterfaceDeclaration(_) => self.statement(it.span),
            ExportDefaultDeclarationKind::FunctionDeclaration(function)
                if function.body.is_none() =>
            {
                self.statement(it.span);
            }
            _ => walk::walk_export_default_declaration(self, it),
        }
    }

    fn visit_export_named_declaration(&mut self, it: &ExportNamedDeclaration<'a>) {
        match it.export_kind {
            ImportOrExportKind::Type => self.statement(it.span),
            ImportOrExportKind::Value => walk::walk_export_named_declaration(self, it),
        }
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        match it.export_kind {
            ImportOrExportKind::Type => self.statement(it.span),
            ImportOrExportKind::Value => walk::walk_export_from_declaration(self, it),
        }
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        if it.export_kind == ImportOrExportKind::Type {
            self.statement(it.span);
        }
    }

    fn visit_export_specifier(&mut self, it: &ExportSpecifier<'a>) {
        if it.export_kind == ImportOrExportKind::Type {
            self.entry(it.span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left, with runs of blanks as one.
    fn left(text: &str) -> String {
        let left = strip("a.ts", text).unwrap();
        assert_eq!(left.len(), text.len());
        assert_eq!(left.matches('\n').count(), text.matches('\n').count());
        left.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn types_become_blanks_and_code_stays() {
        for (typed, plain) in [
            ("let a: number = 1 as const;", "let a = 1 ;"),
            (
                "const f = <T,>(x: T, y?: string): Promise<T> => g<T>(x!);",
                "const f = (x , y ) => g (x );",
            ),
            ("interface A { b: string }\nlet x;", "; let x;"),
            (
                "export type A = { b: string };\nexport interface B {}",
                "; ;",
            ),
            ("import type { A } from './a';", ";"),
            (
                "import { type A, b } from './a';",
                "import { b } from './a';",
            ),
            (
                "function f(this: X, a: A) { return a satisfies A }",
                "function f( a ) { return a }",
            ),
            (
                "function f(a: string): void;\nfunction f(a: any) {}",
                "; function f(a ) {}",
            ),
            ("let y = <any>x;", "let y = x;"),
            ("let z!: number;", "let z ;"),
            ("declare const q: string;\nq", "; q"),
            (
                "abstract class A<T> extends B<T> implements C, D { private readonly a?: string = 'x'; static b: number; g!: string; abstract c(): void; public async d(): Promise<void> {} [k: string]: any; declare e: F }",
                "class A extends B { a = 'x'; static b ; g ; ; async d() {} ; ; }",
            ),
            ("try {} catch (e: unknown) {}", "try {} catch (e ) {}"),
            ("x ? (a) : b => c", "x ? (a) : b => c"),
            (
                "export default async (ctx: Ctx): Promise<string> => ctx.text",
                "export default async (ctx ) => ctx.text",
            ),
        ] {
            assert_eq!(left(typed), plain);
        }
    }

    #[test]
    fn what_would_be_code_is_refused_with_its_line() {
        for (text, what) in [
            ("\nenum A { B }", "an enum"),
            ("\nnamespace A { export const b = 1 }", "a namespace"),
            (
                "\nclass A { constructor(private b: string) {} }",
                "a parameter property",
            ),
            ("\nimport a = require('./a')", "`import =`"),
            ("\nexport = 1", "`export =`"),
        ] {
            let trouble = strip("a.ts", text).unwrap_err();
            assert!(trouble.message.starts_with(what), "{}", trouble.message);
            assert_eq!(
                (trouble.file.as_deref(), trouble.line),
                (Some("a.ts"), Some(2))
            );
        }
        let trouble = strip("a.ts", "let a = 1;\nlet b: = 2;").unwrap_err();
        assert_eq!(trouble.line, Some(2), "{}", trouble.message);
    }
}
