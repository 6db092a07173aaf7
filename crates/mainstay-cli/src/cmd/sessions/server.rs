//! The server that is asked.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::gate::Gates;
use mainstay::http::{Client, RequestError, builder};
use reqwest::{Request, Response, Url};
use serde_json::Value;

use crate::args::ServerArgs;
use crate::exit::{ENVIRONMENT, Failure, NOT_OK, USAGE, chain};

const USUAL: &str = "http://127.0.0.1:7180";
/// Longest time of one attempt.
const WITHIN: Duration = Duration::from_secs(35);
/// The largest answer that is read.
const ANSWER_MAX: usize = 64 << 20;

pub(crate) struct Server {
    client: Client,
    base: Url,
    key: Option<HeaderValue>,
    key_env: String,
}

/// Why it did not answer as asked.
pub(crate) enum Miss {
    /// It did not answer; it may be there again later.
    Away(Failure),
    /// It said no.
    Refused(Failure),
}

impl From<Miss> for Failure {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Away(failure) | Miss::Refused(failure) => failure,
        }
    }
}

impl Server {
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let named = args.server.clone().or_else(|| variable("MAINSTAY_SERVER_URL"));
        let text = named.unwrap_or_else(|| USUAL.into());
        let base = Url::parse(&text).ok().filter(is_server).ok_or_else(|| {
            Failure::usage("--server: allowed: http://… or https://…, without user and query")
        })?;
        let key = variable(&args.key_env).map(|key| {
            let mut shown = HeaderValue::try_from(format!("Bearer {}", key.trim_end()))
                .map_err(|_| Failure::usage(format!("{} holds no key", args.key_env)))?;
            shown.set_sensitive(true);
            Ok::<_, Failure>(shown)
        });
        let key = key.transpose()?;
        let mut builder = builder();
        if let Some(file) = &args.ca_file {
            let refuse = |why: String| Failure::usage(format!("{}: {why}", file.display()));
            let pem = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
            let trusted = reqwest::Certificate::from_pem_bundle(&pem);
            let trusted = trusted.map_err(|error| refuse(chain(&error)))?;
            builder = builder.tls_certs_only(trusted);
        }
        let http = builder.build().map_err(|error| Failure::environment(chain(&error)))?;
        let mut policy = PolicyConfig::default();
        // A server that is asked for many pages may say how fast.
        policy.call.attempts = 6;
        let client = Client::over(http, &policy, Gates::default())
            .map_err(|error| Failure::environment(chain(&error)))?;
        Ok(Self { client, base, key, key_env: args.key_env.clone() })
    }

    /// Asks for something, again where that can help, and reads the answer.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let request = self.request(Method::GET, path, query, None, None)?;
        let response = self.client.execute(request).await;
        let response = response.map_err(|error| self.away(&error))?;
        Ok(self.read(response).await?)
    }

    /// Asks it to do something: once, unless it certainly did not hear it.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path, &[], Some(body), None)?;
        let response = self.client.execute(request).await;
        let response = response.map_err(|error| self.away(&error))?;
        Ok(self.read(response).await?)
    }

    /// Asks it to take something back.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<Value, Failure> {
        let request = self.request(Method::DELETE, path, &[], None, None)?;
        let response = self.client.execute(request).await;
        let response = response.map_err(|error| self.away(&error))?;
        Ok(self.read(response).await?)
    }

    /// Begins to listen, behind the event `last`.
    pub(crate) async fn listen(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        last: Option<&str>,
    ) -> Result<Response, Miss> {
        let request = self.request(Method::GET, path, query, None, last).map_err(Miss::Refused)?;
        let sent = tokio::time::timeout(WITHIN, self.client.inner().execute(request)).await;
        let Ok(sent) = sent else {
            return Err(Miss::Away(Failure::environment(self.nobody("it does not answer"))));
        };
        let response = sent.map_err(|error| {
            Miss::Away(Failure::environment(self.nobody(&chain(&error.without_url()))))
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        match self.read(response).await {
            Err(miss) => Err(miss),
            Ok(_) => {
                Err(Miss::Away(Failure::environment(self.nobody("it answers something else"))))
            }
        }
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
        last: Option<&str>,
    ) -> Result<Request, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(key) = &self.key {
            headers.insert(AUTHORIZATION, key.clone());
        }
        if let Some(last) = last.and_then(|last| HeaderValue::try_from(last).ok()) {
            headers.insert("last-event-id", last);
        }
        let mut request = self.client.inner().request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.build().map_err(|error| Failure::usage(chain(&error.without_url())))
    }

    async fn read(&self, mut response: Response) -> Result<Value, Miss> {
        let status = response.status();
        let mut body = Vec::new();
        let away = |why: &str| Miss::Away(Failure::environment(self.nobody(why)));
        loop {
            match tokio::time::timeout(WITHIN, response.chunk()).await {
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() > ANSWER_MAX => {
                    return Err(away("its answer is too long"));
                }
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(away(&chain(&error.without_url()))),
                Err(_) => return Err(away("its answer does not end")),
            }
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        match json {
            Some(json) if status.is_success() => Ok(json),
            _ if status.is_success() => Err(away("it is no server of ours")),
            json => Err(self.refused(status, json.as_ref())),
        }
    }

    /// What a problem means for whoever asked.
    fn refused(&self, status: StatusCode, problem: Option<&Value>) -> Miss {
        let detail = problem.and_then(|problem| problem["detail"].as_str());
        let said = detail.map_or_else(|| format!("the server says {status}"), plain);
        let failure = |code, message| Failure { code, message };
        match status.as_u16() {
            401 if self.key.is_none() => {
                let env = &self.key_env;
                Miss::Refused(failure(
                    USAGE,
                    format!("the server asks for a key: put one into {env}"),
                ))
            }
            401 => {
                let env = &self.key_env;
                Miss::Refused(failure(USAGE, format!("the key of {env} is not taken: {said}")))
            }
            403 => Miss::Refused(failure(USAGE, format!("not allowed: {said}"))),
            404 | 409 | 410 | 413 => Miss::Refused(failure(NOT_OK, said)),
            400..=428 => Miss::Refused(failure(USAGE, said)),
            _ => Miss::Away(failure(ENVIRONMENT, said)),
        }
    }

    fn away(&self, error: &RequestError) -> Failure {
        Failure::environment(self.nobody(&chain(error)))
    }

    fn nobody(&self, why: &str) -> String {
        let base = self.base.as_str().trim_end_matches('/');
        format!(
            "no server answers at {base}: {}\n`mainstay serve` starts one; --server or \
             MAINSTAY_SERVER_URL name another",
            plain(why)
        )
    }
}

fn is_server(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

/// A text of somebody else, without what a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
