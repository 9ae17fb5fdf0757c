//! What is here for people, and for the programs that read for them?
//!
//! The documentation with its playground, the description of the API, and what browsers and
//! robots ask every site for. All of it is part of the program: no build step makes it, and no
//! other host is asked for any of it. Texts that follow the configuration are written once for
//! each snapshot, all others once for the process; each is compressed where it is made, so that
//! giving it out is a copy of a pointer.

/// What is given out, in which forms?
pub mod asset;
/// Which files are part of the program?
mod files;
/// How are values put into a text of ours?
mod template;
/// What does the documentation say of this configuration?
mod home;
/// What is the API, for programs?
mod openapi;
/// Which models are there, and can they be asked now?
pub mod state;

use crate::config::Config;
use asset::Asset;

/// What a browser may do with a page of ours: run, show and ask for what we serve, show
/// images that models name, and nothing else. No page of anybody's may frame it.
pub const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' http: https:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Something that is here for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// `/`: the documentation.
    Home,
    /// `/pages/models.json`: the models, and whether they can be asked now.
    Models,
    /// `/openapi.json`: the API, for programs.
    OpenApi,
    /// A file of ours, by its path.
    File(&'static str),
}

/// The pages of a configuration.
#[derive(Debug, Clone)]
pub struct Pages {
    home: Asset,
}

impl Page {
    /// What stands at this path.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Home),
            "/openapi.json" => Some(Self::OpenApi),
            "/pages/models.json" => Some(Self::Models),
            _ => files::path(path).map(Self::File),
        }
    }

    /// The word for the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Home => "page",
            Self::Models => "page.models",
            Self::OpenApi => "openapi",
            Self::File("/robots.txt") => "robots",
            Self::File("/favicon.ico" | "/favicon.svg") => "favicon",
            Self::File(_) => "page.file",
        }
    }

    /// Whether a caller may need a key for it: what the list of models tells is told to the same.
    #[must_use]
    pub fn asks_for_keys(self) -> bool {
        match self {
            Self::Models => true,
            Self::Home | Self::OpenApi | Self::File(_) => false,
        }
    }
}

impl Pages {
    /// Writes the pages of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            home: Asset::new("text/html; charset=utf-8", home::written(config)),
        }
    }

    /// What is given out for a page; none where that has to be made for each who asks.
    #[must_use]
    pub fn asset(&self, page: Page) -> Option<&Asset> {
        match page {
            Page::Home => Some(&self.home),
            Page::OpenApi => Some(openapi::asset()),
            Page::File(path) => files::asset(path),
            Page::Models => None,
        }
    }
}

/// A file of ours, by its path.
#[must_use]
pub fn file(path: &str) -> Option<&'static Asset> {
    files::asset(path)
}

/// What is told somebody who looks for a page that is not here.
#[must_use]
pub fn not_found() -> Option<&'static Asset> {
    files::asset(files::NOT_FOUND)
}

/// Whether a path is the API's, where errors are told to programs only.
#[must_use]
pub fn is_of_the_api(path: &str) -> bool {
    let below = |root: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    ["/v1", "/api/v1", "/images"].into_iter().any(below)
}

/// Whether an `Accept` prefers HTML to JSON: it names it, and JSON with no larger weight.
#[must_use]
pub fn prefers_html(accept: &str) -> bool {
    let weight = |wanted: &str| {
        let named = asset::weights(accept).find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map_or(0, |(_, weight)| weight)
    };
    let html = weight("text/html").max(weight("application/xhtml+xml"));
    html > 0 && html >= weight("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_by_its_very_path() {
        assert_eq!(Page::at("/"), Some(Page::Home));
        assert_eq!(Page::at("/robots.txt").unwrap().name(), "robots");
        assert_eq!(Page::at("/favicon.ico").unwrap().name(), "favicon");
        assert_eq!(Page::at("/pages/page.css").unwrap().name(), "page.file");
        for nothing in [
            "",
            "//",
            "/index.html",
            "/pages",
            "/pages/",
            "/pages/../x",
            "/pages/index.html",
        ] {
            assert_eq!(Page::at(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn html_is_for_browsers_and_json_for_programs() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, expected) in [
            (browser, true),
            ("TEXT/HTML", true),
            ("text/html;q=0.5, application/json;q=0.4", true),
            ("text/html, application/json", true),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0", false),
            ("application/json", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(prefers_html(accept), expected, "{accept}");
        }
    }

    #[test]
    fn errors_of_the_api_are_for_programs() {
        for path in ["/v1", "/v1/", "/v1/x", "/api/v1/chat", "/images/1"] {
            assert!(is_of_the_api(path), "{path}");
        }
        for path in ["/", "/v10", "/api", "/imagesque", "/x/v1/"] {
            assert!(!is_of_the_api(path), "{path}");
        }
    }
}
