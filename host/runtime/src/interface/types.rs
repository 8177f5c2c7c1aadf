//! The types of an interface as one flat table: what the codec, the schemas and the comparison walk.

/// The index of a type in [`Types`].
pub(crate) type Ty = u32;

/// All types that an interface's methods reach. A type comes after everything that it is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Types {
    shapes: Vec<Shape>,
    names: Vec<Option<TypeName>>,
}

/// The name under which a component exports a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName {
    /// The interface that owns it; none for a type of the world itself.
    pub(crate) interface: Option<String>,
    pub(crate) name: String,
    pub(crate) docs: Option<String>,
}

/// What a type is, names left aside. Aliases are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`.
    Bytes,
    List(Ty),
    FixedList(Ty, u32),
    /// The key is a boolean, an integer, a character, a string or an enum: it has a text form.
    Map(Ty, Ty),
    Record(Members, Box<[Ty]>),
    Tuple(Box<[Ty]>),
    Variant(Members, Box<[Option<Ty>]>),
    Enum(Members),
    Flags(Members),
    /// `option<T>` where no value of `T` is written as `null`.
    Option(Ty),
    /// `option<option<T>>`: a value is wrapped, so that the inner `none` differs from the outer.
    NestedOption(Ty),
    Result(Option<Ty>, Option<Ty>),
    /// Cannot be written as data: a stream, a future, an error context. The text is its WIT.
    Live(String),
}

/// The named parts of a record, variant, enum or flags type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Members {
    list: Vec<Member>,
    /// Indices in the order of the names; empty where a linear search is as fast.
    sorted: Vec<u32>,
    names_bytes: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) docs: Option<String>,
}

/// Up to here a linear search is as fast as a binary one.
const LINEAR_MAX: usize = 12;

impl Members {
    pub(crate) fn new(list: Vec<Member>) -> Self {
        let mut sorted = Vec::new();
        if LINEAR_MAX < list.len() {
            sorted = (0..).take(list.len()).collect();
            sorted.sort_by_key(|at: &u32| list[*at as usize].name.as_str());
        }
        let names_bytes = list.iter().map(|member| member.name.len() as u64).sum();
        Self {
            list,
            sorted,
            names_bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Member> {
        self.list.iter()
    }

    pub(crate) fn name(&self, at: usize) -> &str {
        &self.list[at].name
    }

    /// The length of all names together.
    pub(crate) fn names_bytes(&self) -> u64 {
        self.names_bytes
    }

    /// The position of a name. `guess` is looked at first: members mostly come in order.
    pub(crate) fn find(&self, name: &str, guess: usize) -> Option<usize> {
        if self
            .list
            .get(guess)
            .is_some_and(|member| member.name == name)
        {
            return Some(guess);
        }
        if self.sorted.is_empty() {
            return self.list.iter().position(|member| member.name == name);
        }
        let found = self
            .sorted
            .binary_search_by_key(&name, |at| self.list[*at as usize].name.as_str());
        found.ok().map(|at| self.sorted[at] as usize)
    }
}

impl Types {
    pub(crate) fn push(&mut self, shape: Shape, name: Option<TypeName>) -> Ty {
        let ty = Ty::try_from(self.shapes.len()).expect("the validator bounds the number of types");
        self.shapes.push(shape);
        self.names.push(name);
        ty
    }

    pub(crate) fn len(&self) -> usize {
        self.shapes.len()
    }

    pub(crate) fn shape(&self, ty: Ty) -> &Shape {
        &self.shapes[ty as usize]
    }

    pub(crate) fn name(&self, ty: Ty) -> Option<&TypeName> {
        self.names[ty as usize].as_ref()
    }

    /// The type that a value of this type holds unless it is `none`: itself, or what is inside the options around it.
    pub(crate) fn without_option(&self, mut ty: Ty) -> Ty {
        while let Shape::Option(inner) | Shape::NestedOption(inner) = self.shape(ty) {
            ty = *inner;
        }
        ty
    }

    /// Whether an argument or a field of this type may be left out.
    pub(crate) fn is_optional(&self, ty: Ty) -> bool {
        matches!(self.shape(ty), Shape::Option(_) | Shape::NestedOption(_))
    }

    /// The type in WIT syntax: its name, or what it is made of.
    pub(crate) fn wit(&self, ty: Ty) -> String {
        match self.name(ty) {
            Some(name) => name.name.clone(),
            None => self.wit_inside(ty),
        }
    }

    /// What a type is made of, in WIT syntax, its own name left aside. A record, variant, enum or flags type is only named by its sort: WIT
    /// has no syntax for one without a name.
    pub(crate) fn wit_inside(&self, ty: Ty) -> String {
        let opt = |ty: &Option<Ty>| ty.map_or_else(|| "_".to_owned(), |ty| self.wit(ty));
        match self.shape(ty) {
            Shape::Bool => "bool".into(),
            Shape::S8 => "s8".into(),
            Shape::U8 => "u8".into(),
            Shape::S16 => "s16".into(),
            Shape::U16 => "u16".into(),
            Shape::S32 => "s32".into(),
            Shape::U32 => "u32".into(),
            Shape::S64 => "s64".into(),
            Shape::U64 => "u64".into(),
            Shape::F32 => "f32".into(),
            Shape::F64 => "f64".into(),
            Shape::Char => "char".into(),
            Shape::String => "string".into(),
            Shape::Bytes => "list<u8>".into(),
            Shape::List(of) => format!("list<{}>", self.wit(*of)),
            Shape::FixedList(of, len) => format!("list<{}, {len}>", self.wit(*of)),
            Shape::Map(key, value) => format!("map<{}, {}>", self.wit(*key), self.wit(*value)),
            Shape::Record(..) => "record".into(),
            Shape::Tuple(of) => {
                let parts: Vec<_> = of.iter().map(|ty| self.wit(*ty)).collect();
                format!("tuple<{}>", parts.join(", "))
            }
            Shape::Variant(..) => "variant".into(),
            Shape::Enum(_) => "enum".into(),
            Shape::Flags(_) => "flags".into(),
            Shape::Option(of) | Shape::NestedOption(of) => format!("option<{}>", self.wit(*of)),
            Shape::Result(None, None) => "result".into(),
            Shape::Result(Some(ok), None) => format!("result<{}>", self.wit(*ok)),
            Shape::Result(ok, err) => format!("result<{}, {}>", opt(ok), opt(err)),
            Shape::Live(wit) => wit.clone(),
        }
    }
}
