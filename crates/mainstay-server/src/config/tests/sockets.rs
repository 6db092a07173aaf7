//! What a file says about WebSockets.

use std::fs;

use mainstay::link::{EndpointStrategy, Roots};

use super::*;

const HEAD: &str = "[[link]]\nname = \"a\"\nurl = \"wss://h\"\n";

/// A certificate of its own and its key, as PEM.
fn signed() -> (String, String) {
    let own = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
    (own.cert.pem(), own.signing_key.serialize_pem())
}

/// A folder with `files`, and a configuration that is read as if it stood there.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = format!("mainstay-config-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
        Self(folder)
    }

    fn load(&self, text: &str) -> Result<Config, Problems> {
        let file = self.0.join("m.toml");
        Config::parse(text, Some(&file), &Flags::default(), &Environment::new())
    }

    /// Its problems, without the folder's name.
    fn problems(&self, text: &str) -> String {
        let shown = self.load(text).map(|_| ()).unwrap_err().to_string();
        shown.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn socket(config: &Config) -> &SocketSpec {
    match &config.links[0].target {
        Target::WebSocket(spec) => spec,
        other @ (Target::Http { .. } | Target::Tcp { .. } | Target::Tls(_) | Target::Dns(_)) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn everything_about_a_websocket_can_be_said() {
    let (certificate, key) = signed();
    let folder = Folder::with("all", &[("ca.pem", &certificate), ("key.pem", &key)]);
    let text = format!(
        "{HEAD}more_urls = [\"wss://i/x\"]\nstrategy = \"lowest_rtt\"\nca_file = \"ca.pem\"\n\
         client_cert_file = \"ca.pem\"\nclient_key_file = \"key.pem\"\nserver_name = \"n\"\n\
         proxy = \"socks5://p:1\"\nmax_age = \"2h\"\ndata_idle = \"90s\"\nmessage_max = 1000\n"
    );
    let config = folder.load(&text).unwrap();
    let spec = socket(&config);
    assert_eq!((&*spec.more_urls[0], spec.strategy), ("wss://i/x", EndpointStrategy::LowestRtt));
    assert_eq!(spec.tls.roots, Roots::Pem(certificate));
    assert!(spec.tls.identity.is_some() && spec.tls.server_name.as_deref() == Some("n"));
    assert_eq!(spec.proxy, ProxySpec::At(Secret::new("socks5://p:1")));
    assert_eq!(spec.max_age, Some(Duration::from_secs(7_200)));
    assert_eq!((spec.data_idle, spec.message_max), (Some(Duration::from_secs(90)), 1_000));
    let made = spec.config().unwrap();
    assert_eq!(format!("{:?}", made.stream.proxy), "Proxy(socks5h://p:1)");
    assert_eq!((made.tls, made.endpoints.strategy), (spec.tls.clone(), spec.strategy));
    let direct = load(&(HEAD.to_owned() + "proxy = \"none\"")).unwrap();
    assert_eq!(socket(&direct).proxy, ProxySpec::Direct);
}

#[test]
fn what_makes_no_sense_about_a_websocket_is_told_with_its_line() {
    let (certificate, key) = signed();
    let files =
        [("ca.pem", &*certificate), ("key.pem", &*key), ("bad.pem", "x"), ("empty.pem", "")];
    let folder = Folder::with("bad", &files);
    fs::create_dir_all(folder.0.join("folder")).unwrap();
    fs::write(folder.0.join("der"), [0x30, 0x82, 0xff]).unwrap();
    let beside = "; allowed: a file of PEM beside this file, or a whole path";
    let unfit = "names a file that cannot be used, allowed: ";
    let cases = [
        (
            "ca_file = \"no.pem\"",
            format!(
                "ca_file: names no.pem, which cannot be read: No such file or directory (os error 2){beside}"
            ),
        ),
        (
            "ca_file = \"folder\"",
            format!("ca_file: names folder, which cannot be read: it is no regular file{beside}"),
        ),
        (
            "ca_file = \"der\"",
            format!(
                "ca_file: names der, which cannot be read: it is no text, which PEM is{beside}"
            ),
        ),
        ("ca_file = \"bad.pem\"", format!("ca_file: {unfit}one certificate or more as PEM")),
        ("ca_file = \"empty.pem\"", format!("ca_file: {unfit}one certificate or more as PEM")),
        ("ca_file = \"key.pem\"", format!("ca_file: {unfit}one certificate or more as PEM")),
        ("client_cert_file = \"ca.pem\"", "client_cert_file: needs client_key_file too".into()),
        ("client_key_file = \"key.pem\"", "client_key_file: needs client_cert_file too".into()),
        (
            "client_key_file = \"bad.pem\"\nclient_cert_file = \"ca.pem\"",
            format!("client_key_file: {unfit}a key as PEM that fits the certificate"),
        ),
        ("server_name = \"a b\"", "server_name: is \"a b\", allowed: a name or an address".into()),
        ("max_age = \"0s\"", "max_age: is 0ns, allowed: 1ms to 31536000s".into()),
        ("message_max = 1", "message_max: is 1, allowed: 125 to 1073741824".into()),
        ("strategy = \"ordered\"", "strategy: is for links with more_urls only".into()),
        ("proxy_env = \"P\"", "proxy_env: names P, which the environment does not have".into()),
        (
            "proxy_env = \"P\"\nproxy = \"http://p\"",
            "proxy_env: stands beside proxy: one of them".into(),
        ),
        (
            "more_urls = [\"wss://h\"]",
            "more_urls: is \"wss://h/\", allowed: each address once".into(),
        ),
    ];
    for (line, message) in cases {
        let found = folder.problems(&(HEAD.to_owned() + line));
        assert_eq!(found, format!("m.toml:4: link.a.{message}"), "{line}");
    }
    let plain = "[[link]]\nname = \"a\"\nurl = \"ws://127.0.0.1:1\"\nca_file = \"ca.pem\"";
    let found = folder.problems(plain);
    assert_eq!(found, "m.toml:4: link.a.ca_file: is for wss:// addresses only");
    let mixed = HEAD.to_owned() + "more_urls = [\"ws://far:1\"]";
    assert!(folder.problems(&mixed).contains("link.a.more_urls: leads to another machine without"));
    let other = "[[link]]\nname = \"a\"\nurl = \"tcp://h:1\"\nmax_age = \"1s\"\nstrategy = \"x\"";
    assert!(folder.problems(other).contains("unknown variant `x`, expected one of `ordered`"));
    let other = "[[link]]\nname = \"a\"\nurl = \"http://h\"\nmax_age = \"1s\"\nca_file = \"no\"";
    let found = folder.problems(other);
    assert!(found.contains("link.a.max_age: is for ws:// and wss:// links only"), "{found}");
}

#[test]
fn neither_the_password_of_a_proxy_nor_a_key_is_in_any_message() {
    let (certificate, key) = signed();
    let folder = Folder::with("secret", &[("ca.pem", &certificate), ("key.pem", &key)]);
    let bad = [
        "proxy = \"http://me:hush@p\"",
        "proxy = \"ftp://hush\"",
        "proxy = 3456",
        "more_urls = [\"wss://me:hush@h\"]",
        "client_cert_file = \"key.pem\"\nclient_key_file = \"key.pem\"",
    ];
    let secret = key.lines().nth(1).unwrap();
    for line in bad {
        let problems = folder.load(&(HEAD.to_owned() + line)).map(|_| ()).unwrap_err();
        for shown in [problems.to_string(), format!("{problems:?}")] {
            let hidden = ["hush", "3456", secret].iter().all(|word| !shown.contains(word));
            assert!(hidden, "{shown}");
        }
    }
    let named = HEAD.to_owned() + "proxy_env = \"P\"";
    let wrong = load_with(&named, &[("P", "gopher://hush")]).map(|_| ()).unwrap_err().to_string();
    assert!(
        wrong.starts_with("m.toml:4: link.a.proxy_env: ") && !wrong.contains("hush"),
        "{wrong}"
    );
    let config = load_with(&named, &[("P", "http://me:hush@p:1")]).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    let keyed = HEAD.to_owned() + "client_cert_file = \"ca.pem\"\nclient_key_file = \"key.pem\"";
    assert!(!format!("{:?}", folder.load(&keyed).unwrap()).contains(secret));
}

#[test]
fn a_file_with_other_contents_is_another_target() {
    let folder = Folder::with("renewed", &[("ca.pem", &signed().0)]);
    let text = HEAD.to_owned() + "ca_file = \"ca.pem\"";
    let before = folder.load(&text).unwrap();
    assert_eq!(folder.load(&text).unwrap().links, before.links);
    fs::write(folder.0.join("ca.pem"), signed().0).unwrap();
    assert_ne!(folder.load(&text).unwrap().links, before.links);
}
