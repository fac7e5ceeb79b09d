//! What `provider` may be: dialects and vendors, as data.

use crate::config::Provider;

/// A name that `provider` accepts.
#[derive(Debug)]
pub(crate) struct Preset {
    /// The name.
    pub(crate) name: &'static str,
    /// How it is spoken to.
    pub(crate) provider: Provider,
    /// Its public address; empty for what needs none.
    pub(crate) endpoint: &'static str,
    /// Whether that address asks for a key.
    pub(crate) key: bool,
    /// Params that it takes under another name: ours, its own.
    pub(crate) renames: &'static [(&'static str, &'static str)],
}

const fn vendor(name: &'static str, endpoint: &'static str) -> Preset {
    Preset {
        name,
        provider: Provider::OpenAi,
        endpoint,
        key: true,
        renames: &[],
    }
}

const fn local(name: &'static str, endpoint: &'static str) -> Preset {
    Preset {
        name,
        provider: Provider::OpenAi,
        endpoint,
        key: false,
        renames: &[],
    }
}

/// All of them.
pub(crate) const PRESETS: &[Preset] = &[
    Preset {
        name: "openai",
        provider: Provider::OpenAi,
        endpoint: "https://api.openai.com/v1",
        key: true,
        // its newer models refuse the old name
        renames: &[("max_tokens", "max_completion_tokens")],
    },
    Preset {
        name: "builtin",
        provider: Provider::Builtin,
        endpoint: "",
        key: false,
        renames: &[],
    },
    vendor("cerebras", "https://api.cerebras.ai/v1"),
    vendor("deepseek", "https://api.deepseek.com/v1"),
    vendor("fireworks", "https://api.fireworks.ai/inference/v1"),
    vendor("groq", "https://api.groq.com/openai/v1"),
    vendor("minimax", "https://api.minimax.io/v1"),
    vendor("mistral", "https://api.mistral.ai/v1"),
    vendor("moonshot", "https://api.moonshot.cn/v1"),
    vendor("nvidia", "https://integrate.api.nvidia.com/v1"),
    vendor("openrouter", "https://openrouter.ai/api/v1"),
    vendor("qwen", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
    vendor("siliconflow", "https://api.siliconflow.cn/v1"),
    vendor("together", "https://api.together.xyz/v1"),
    vendor("volcengine", "https://ark.cn-beijing.volces.com/api/v3"),
    vendor("xai", "https://api.x.ai/v1"),
    vendor("zhipu", "https://open.bigmodel.cn/api/paas/v4"),
    local("llamacpp", "http://127.0.0.1:8080/v1"),
    local("lmstudio", "http://127.0.0.1:1234/v1"),
    local("ollama", "http://127.0.0.1:11434/v1"),
    local("vllm", "http://127.0.0.1:8000/v1"),
];

/// Params that dialects know by several names; a model's own wins over its kind's under any of them.
const ALIASES: &[&[&str]] = &[
    &["max_tokens", "max_completion_tokens", "max_output_tokens"],
    &["stop", "stop_sequences"],
];

/// The preset of that name.
pub(crate) fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// The names, as the schema lists them.
pub(crate) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

/// Whether two params mean the same.
pub(crate) fn same_param(a: &str, b: &str) -> bool {
    a == b
        || ALIASES
            .iter()
            .any(|names| names.contains(&a) && names.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_a_base_url_and_every_name_stands_once() {
        for (index, preset) in PRESETS.iter().enumerate() {
            if preset.provider == Provider::OpenAi {
                let url = url::Url::parse(preset.endpoint).unwrap();
                assert_eq!(url.scheme() == "https", preset.key, "{}", preset.name);
                assert!(!preset.endpoint.ends_with('/'), "{}", preset.name);
            }
            assert!(
                PRESETS[..index]
                    .iter()
                    .all(|other| other.name != preset.name)
            );
        }
    }

    #[test]
    fn params_are_known_under_every_name() {
        assert!(same_param("stop", "stop_sequences"));
        assert!(!same_param("stop", "max_tokens"));
    }
}
