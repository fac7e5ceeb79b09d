//! Which file of a skill an import means, and how it becomes a module. There is nothing outside the folder.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Exception, Module, Result};

use super::protocol::{File, Program, Syntax};

/// Who imports where nobody does: the prelude, which names files by their path.
pub(super) const ROOT: &str = "moltbot";
const ENDINGS: [&str; 9] = [
    "",
    ".js",
    ".mjs",
    ".cjs",
    ".ts",
    ".mts",
    ".cts",
    ".json",
    "/index.js",
];

/// The files that may be imported; empty until a call brings them.
#[derive(Clone, Default)]
pub(super) struct Files(Rc<RefCell<Option<Arc<Program>>>>);

impl Files {
    pub(super) fn put(&self, program: Arc<Program>) {
        *self.0.borrow_mut() = Some(program);
    }

    /// The program, where there is one.
    pub(super) fn program(&self) -> Option<Arc<Program>> {
        self.0.borrow().clone()
    }

    /// The path that `name` means in the file `base`.
    pub(super) fn resolve(&self, base: &str, name: &str) -> Option<String> {
        let program = self.program()?;
        let exists = |path: &str| program.files.iter().any(|file| file.path == path);
        if base == ROOT {
            return exists(name).then(|| name.to_owned());
        }
        let path = beside(base, name)?;
        ENDINGS
            .iter()
            .map(|ending| format!("{path}{ending}"))
            // a script says `./x.js` where the file is `x.ts`
            .chain(path.strip_suffix(".js").map(|stem| format!("{stem}.ts")))
            .find(|path| exists(path))
    }

    /// A file by its path.
    pub(super) fn find(&self, path: &str) -> Option<File> {
        let program = self.program()?;
        let file = program.files.iter().find(|file| file.path == path);
        file.cloned()
    }
}

/// The path of `./name` seen from the file `base`; `None` where it is no relative one or leads out.
fn beside(base: &str, name: &str) -> Option<String> {
    if !name.starts_with("./") && !name.starts_with("../") {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The words for an import of nothing.
pub(super) fn nothing(base: &str, name: &str) -> String {
    if name.starts_with('.') {
        format!("{base} imports {name}, which is no file of this skill")
    } else {
        format!(
            "{base} imports {name}: there are no packages, only ./files of the skill's own folder"
        )
    }
}

impl Resolver for Files {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        Files::resolve(self, base, name)
            .ok_or_else(|| Exception::throw_reference(ctx, &nothing(base, name)))
    }
}

impl Loader for Files {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        let file = self.find(name).ok_or_else(|| Error::new_loading(name))?;
        let literal = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let source = match file.syntax {
            Syntax::Module => file.text,
            Syntax::Common => format!("export default globalThis.require({});", literal(name)),
            Syntax::Json => format!("export default JSON.parse({});", literal(&file.text)),
            Syntax::Text => format!("export default {};", literal(&file.text)),
        };
        Module::declare(ctx.clone(), name, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_means_a_file_of_the_folder_or_nothing() {
        let file = |path: &str| File {
            path: path.into(),
            text: String::new(),
            syntax: Syntax::Module,
        };
        let files = Files::default();
        files.put(Arc::new(Program {
            entry: "index.js".into(),
            files: ["index.js", "lib/a.ts", "lib/b/index.js", "faq.md"]
                .map(file)
                .to_vec(),
        }));
        for (base, name, path) in [
            ("index.js", "./lib/a", Some("lib/a.ts")),
            ("index.js", "./lib/a.js", Some("lib/a.ts")),
            ("lib/a.ts", "./b", Some("lib/b/index.js")),
            ("lib/a.ts", "../faq.md", Some("faq.md")),
            ("lib/a.ts", "../../etc/passwd", None),
            ("index.js", "/etc/passwd", None),
            ("index.js", "fs", None),
            ("index.js", "./none", None),
        ] {
            assert_eq!(
                files.resolve(base, name).as_deref(),
                path,
                "{name} in {base}"
            );
        }
    }
}
