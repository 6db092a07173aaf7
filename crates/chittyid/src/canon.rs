//! Regions and trust levels of canonical ids, and which country lies where.

use core::fmt;

/// The region of a canonical id, 1 to 9.
///
/// The names are those of the issuing foundation's API. A client of another project names some of
/// them otherwise: 4 Africa, 5 Asia, 7 Middle East, 8 Central America, 9 Global. So a digit alone
/// does not say what its minter meant.
///
/// ```
/// use chittyid::Region;
///
/// assert_eq!(Region::from_digit(3), Some(Region::Europe));
/// assert_eq!(Region::Europe.to_string(), "Europe");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Region {
    /// 1.
    NorthAmerica = 1,
    /// 2.
    SouthAmerica,
    /// 3.
    Europe,
    /// 4; elsewhere Africa.
    Asia,
    /// 5; elsewhere Asia.
    Africa,
    /// 6.
    Oceania,
    /// 7; elsewhere Middle East.
    Antarctica,
    /// 8; elsewhere Central America.
    InternationalWaters,
    /// 9; elsewhere Global.
    Digital,
}

impl Region {
    /// All nine, from 1.
    pub const ALL: [Self; 9] = [
        Self::NorthAmerica,
        Self::SouthAmerica,
        Self::Europe,
        Self::Asia,
        Self::Africa,
        Self::Oceania,
        Self::Antarctica,
        Self::InternationalWaters,
        Self::Digital,
    ];

    /// The one of this number; none but for 1 to 9.
    ///
    /// ```
    /// assert_eq!(chittyid::Region::from_digit(0), None);
    /// ```
    #[must_use]
    pub fn from_digit(digit: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.digit() == digit)
    }

    /// Its number.
    ///
    /// ```
    /// assert_eq!(chittyid::Region::Digital.digit(), 9);
    /// ```
    #[must_use]
    pub const fn digit(self) -> u8 {
        self as u8
    }

    /// Its name, for people.
    ///
    /// ```
    /// assert_eq!(chittyid::Region::Digital.name(), "Digital/Virtual");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NorthAmerica => "North America",
            Self::SouthAmerica => "South America",
            Self::Europe => "Europe",
            Self::Asia => "Asia",
            Self::Africa => "Africa",
            Self::Oceania => "Oceania",
            Self::Antarctica => "Antarctica",
            Self::InternationalWaters => "International Waters",
            Self::Digital => "Digital/Virtual",
        }
    }

    /// The region and the jurisdiction of a country, by its code of two letters (case does not
    /// matter), `INT` or `DIGITAL`.
    ///
    /// What is not in the foundation's table is digital and of the jurisdiction `INT`, as there. The
    /// table has US, CA, MX (1); BR, AR, CL (2); GB, DE, FR (3); CN, JP, IN (4); ZA, NG, EG (5);
    /// AU, NZ (6); AQ (7); INT (8). Jurisdictions are codes of ISO 3166-1 with three letters.
    ///
    /// ```
    /// use chittyid::Region;
    ///
    /// assert_eq!(Region::of_country("de"), (Region::Europe, "DEU"));
    /// assert_eq!(Region::of_country("CH"), (Region::Digital, "INT"));
    /// ```
    #[must_use]
    pub fn of_country(country: &str) -> (Self, &'static str) {
        let mut rows = COUNTRIES.iter();
        let row = rows.find(|(code, ..)| code.eq_ignore_ascii_case(country));
        row.map_or((Self::Digital, "INT"), |(_, region, jurisdiction)| (*region, *jurisdiction))
    }
}

const COUNTRIES: [(&str, Region, &str); 19] = [
    ("US", Region::NorthAmerica, "USA"),
    ("CA", Region::NorthAmerica, "CAN"),
    ("MX", Region::NorthAmerica, "MEX"),
    ("BR", Region::SouthAmerica, "BRA"),
    ("AR", Region::SouthAmerica, "ARG"),
    ("CL", Region::SouthAmerica, "CHL"),
    ("GB", Region::Europe, "GBR"),
    ("DE", Region::Europe, "DEU"),
    ("FR", Region::Europe, "FRA"),
    ("CN", Region::Asia, "CHN"),
    ("JP", Region::Asia, "JPN"),
    ("IN", Region::Asia, "IND"),
    ("ZA", Region::Africa, "ZAF"),
    ("NG", Region::Africa, "NGA"),
    ("EG", Region::Africa, "EGY"),
    ("AU", Region::Oceania, "AUS"),
    ("NZ", Region::Oceania, "NZL"),
    ("AQ", Region::Antarctica, "ATA"),
    ("INT", Region::InternationalWaters, "INT"),
];

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The trust level of a canonical id, 0 to 5.
///
/// The names are those of the issuing foundation's API. A client of another project says Anonymous,
/// Basic, Enhanced, Professional, Institutional, Official.
///
/// ```
/// use chittyid::Trust;
///
/// assert_eq!(Trust::from_digit(3), Some(Trust::Verified));
/// assert!(Trust::Official > Trust::Basic);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Trust {
    /// 0; elsewhere Anonymous.
    Unverified,
    /// 1.
    Basic,
    /// 2; elsewhere Enhanced.
    Standard,
    /// 3; elsewhere Professional.
    Verified,
    /// 4; elsewhere Institutional.
    Premium,
    /// 5.
    Official,
}

impl Trust {
    /// All six, from 0.
    pub const ALL: [Self; 6] = [
        Self::Unverified,
        Self::Basic,
        Self::Standard,
        Self::Verified,
        Self::Premium,
        Self::Official,
    ];

    /// The one of this number; none but for 0 to 5.
    ///
    /// ```
    /// assert_eq!(chittyid::Trust::from_digit(6), None);
    /// ```
    #[must_use]
    pub fn from_digit(digit: u8) -> Option<Self> {
        Self::ALL.get(usize::from(digit)).copied()
    }

    /// Its number.
    ///
    /// ```
    /// assert_eq!(chittyid::Trust::Official.digit(), 5);
    /// ```
    #[must_use]
    pub const fn digit(self) -> u8 {
        self as u8
    }

    /// Its name, for people.
    ///
    /// ```
    /// assert_eq!(chittyid::Trust::Premium.name(), "Premium");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unverified => "Unverified",
            Self::Basic => "Basic",
            Self::Standard => "Standard",
            Self::Verified => "Verified",
            Self::Premium => "Premium",
            Self::Official => "Official",
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
