//! What of a hosted Supabase project is used, and what each use needs.

use secrecy::SecretString;

use super::rooms::is_topic;
use super::values::Values;

/// The optional hosted project.
#[derive(Debug, Clone)]
pub struct Supabase {
    /// `https://PROJECT.supabase.co`, without a trailing slash; absent means that everything stays local.
    pub url: Option<String>,
    /// The publishable (anon) key.
    pub key: Option<SecretString>,
    /// The service-role key.
    pub service_key: Option<SecretString>,
    /// Secret with which the project signs its tokens.
    pub jwt_secret: Option<SecretString>,
    /// Whether people sign in with its Auth.
    pub signs_in: bool,
    /// Its Edge Function that checks candidates.
    pub checks_function: Option<String>,
    /// Topics whose events are carried to the project's channels of the same names; one that ends with a star stands for all that begin so.
    pub publish: Vec<String>,
    /// Channels of the project that are heard, each with the local room that hears it.
    pub listen: Vec<(String, String)>,
}

impl Supabase {
    /// Whether events go to the project or come from it.
    #[must_use]
    pub fn is_bridged(&self) -> bool {
        !(self.publish.is_empty() && self.listen.is_empty())
    }
}

impl Values {
    pub(super) fn supabase(&mut self) -> Supabase {
        let url = self.texts.get("SUPABASE_URL").map(|url| url.trim_end_matches('/').to_owned());
        if url.is_some() && !self.texts.contains_key("SUPABASE_KEY") && !self.texts.contains_key("SUPABASE_SERVICE_KEY") {
            self.mistake(
                "SUPABASE_URL",
                "is given without SUPABASE_KEY or SUPABASE_SERVICE_KEY; give a key, or drop the URL to run locally".to_owned(),
            );
        }
        let publish: Vec<String> = self.list("ENDCAP_SUPABASE_PUBLISH");
        let listen: Vec<String> = self.list("ENDCAP_SUPABASE_LISTEN");
        if let Some(wrong) = publish.iter().find(|topic| !is_topic(topic.strip_suffix('*').unwrap_or(topic))) {
            let problem = format!("{wrong:?} is no topic: letters, digits and _ : . - only, with a star at the end at most");
            self.mistake("ENDCAP_SUPABASE_PUBLISH", problem);
        }
        let listen: Vec<(String, String)> = listen
            .iter()
            .map(|pair| pair.split_once('>').unwrap_or((pair, pair)))
            .map(|(remote, local)| (remote.trim().to_owned(), local.trim().to_owned()))
            .collect();
        if let Some((remote, local)) = listen.iter().find(|(remote, local)| !is_topic(remote) || !is_topic(local)) {
            let problem = format!("{remote:?} or {local:?} is no topic: letters, digits and _ : . - only");
            self.mistake("ENDCAP_SUPABASE_LISTEN", problem);
        }
        for (key, is_used) in [("ENDCAP_SUPABASE_PUBLISH", !publish.is_empty()), ("ENDCAP_SUPABASE_LISTEN", !listen.is_empty())] {
            if is_used && (url.is_none() || !self.texts.contains_key("SUPABASE_SERVICE_KEY")) {
                self.mistake(key, "needs SUPABASE_URL and SUPABASE_SERVICE_KEY, with which private channels are joined".to_owned());
            }
        }
        let signs_in = self.text("ENDCAP_SIGN_IN") == "supabase";
        if signs_in && (url.is_none() || !self.texts.contains_key("SUPABASE_KEY")) {
            self.mistake("ENDCAP_SIGN_IN", "is `supabase`, which needs SUPABASE_URL and SUPABASE_KEY".to_owned());
        }
        let checks_function = self.texts.get("ENDCAP_CHECKS_FUNCTION").cloned();
        if let Some(name) = &checks_function {
            let is_name = !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "_-".contains(sign));
            if !is_name {
                self.mistake("ENDCAP_CHECKS_FUNCTION", format!("{name:?} is no name of a function: letters, digits, _ and - only"));
            } else if url.is_none() {
                self.mistake("ENDCAP_CHECKS_FUNCTION", "needs SUPABASE_URL, where the function is".to_owned());
            }
        }
        Supabase {
            url,
            signs_in,
            checks_function,
            publish,
            listen,
            key: self.secret("SUPABASE_KEY"),
            service_key: self.secret("SUPABASE_SERVICE_KEY"),
            jwt_secret: self.secret("SUPABASE_JWT_SECRET"),
        }
    }
}
