//! Interfaces that are written in Rust: the WIT that comes out, its doc comments, and how values pass.

#![expect(missing_docs, unreachable_pub, reason = "types for tests")]
#![expect(clippy::too_many_arguments, reason = "all types of numbers in one")]
#![expect(clippy::tabs_in_doc_comments, reason = "a comment may hold one")]
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use futures::FutureExt as _;
use granary_sdk::wit::glue::{self, there_and_back};
use granary_sdk::wit::{Described, Type, WitType};
use granary_sdk::{Flags, Record, Stream, Variant, interface};
use other::ShoppingList;
use wit_component::WitPrinter;
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::decoding::decode_world;
use wit_parser::{PackageMetadata, Resolve, SizeAlign, WorldId, WorldItem};

mod apart {
    //! Types of another module, which know nothing of the interface.

    /// A colour.
    #[derive(granary_sdk::Variant, Debug, Clone, Copy, PartialEq)]
    pub enum Color {
        Red,
        /// Like a fir.
        DarkGreen,
    }

    #[derive(granary_sdk::Record, Debug, Clone, PartialEq)]
    pub struct Item {
        pub id: u64,
        pub name: String,
        pub tag: Option<String>,
    }

    /// An alias means what it means.
    pub type Cents = u64;
}

/// Called like what generated code might use.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Answer {
    pub params: wit::Params,
}

mod wit {
    #[derive(granary_sdk::Flags, Debug, Clone, PartialEq)]
    pub struct Params {
        pub glue: bool,
    }
}

/// An order.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Order {
    /// Who ordered.
    ///
    /// "Quoted", with a \ and a tab:	.
    pub customer: String,
    pub items: Vec<apart::Item>,
    pub paid: Option<apart::Color>,
    pub r#type: u8,
    pub total: apart::Cents,
}

#[derive(Variant, Debug, Clone, PartialEq)]
pub enum Shape {
    Nothing,
    Circle(f64),
    Named(apart::Item),
    Many(Vec<String>),
    Pair((u8, i64)),
    Small(f32),
}

/// What one may do.
#[derive(Flags, Debug, Clone, Copy, PartialEq)]
pub struct Rights {
    pub read: bool,
    pub write: bool,
    /// Without touching.
    pub look_around: bool,
}

mod other {
    //! A second interface of the component, with a type of the first.

    pub struct ShoppingList;

    #[granary_sdk::interface]
    impl ShoppingList {
        fn paint(color: super::apart::Color) -> super::apart::Color {
            color
        }
    }

    granary_sdk::grain!(ShoppingList);
}

struct Torture;

/// All types.
#[interface(package = "test:torture@1.2.0-pre.1", name = "types")]
impl Torture {
    /// The most.
    const MOST: u32 = 5;

    /// Gives the order back.
    fn an_order(order: Order) -> Order {
        order
    }
    /// Once `there`: \n
    fn draw(shape: Shape, rights: Rights) -> Result<Shape, Rights> {
        if rights.write { Ok(shape) } else { Err(rights) }
    }
    fn numbers(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64) -> (f32, f64) {
        let _ = (a, b, c, d, e, f, g, h);
        (0.0, 0.0)
    }
    fn nothing() {}
    fn list(mut string: Vec<u8>, _bool: bool, char: char) -> Option<Option<u32>> {
        string.push(u8::from(_bool));
        Some(Some(u32::from(char).min(Self::MOST)))
    }
    fn outcomes() -> Vec<Result<(), String>> {
        Vec::new()
    }
    fn refused() -> Result<u32, ()> {
        Err(())
    }
    fn neither() -> Result<(), ()> {
        Ok(())
    }
    fn named_alike(slot: wit::Params) -> Answer {
        Answer { params: slot }
    }
    async fn slow(r#async: u32) -> u32 {
        r#async
    }
    /// Several words.
    async fn words(text: String) -> Stream<String> {
        Stream::new(async move |mut items| {
            for word in text.split(' ') {
                items.send(word.to_owned()).await?;
            }
            Ok(())
        })
    }
    async fn orders(count: u8) -> Result<Stream<Order>, Rights> {
        Err(Rights {
            read: false,
            write: false,
            look_around: count == 0,
        })
    }
}

/// Decodes what the linker gets, and puts the comments on it that the host gets.
fn decoded<T: Described>() -> (Resolve, WorldId) {
    let (mut resolve, world) = decode_world(T::COMPONENT_TYPE).unwrap();
    let package = resolve.worlds[world].package.unwrap();
    let comments = PackageMetadata::decode(T::COMMENTS).unwrap();
    comments.inject(&mut resolve, package).unwrap();
    (resolve, world)
}

fn wit_of<T: Described>() -> String {
    let (resolve, world) = decoded::<T>();
    let mut printer = WitPrinter::default();
    let package = resolve.worlds[world].package.unwrap();
    printer.print(&resolve, package, &[]).unwrap();
    printer.output.to_string()
}

/// `UPDATE_GOLDEN=1` writes what comes out.
fn assert_golden(file: &str, found: &str) {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), found);
}

#[test]
fn the_wit_is_that_of_the_types_with_their_comments() {
    assert_golden("types.wit", &wit_of::<Torture>());
}

#[test]
fn without_options_the_names_are_those_of_the_type() {
    assert_golden("shopping-list.wit", &wit_of::<ShoppingList>());
}

/// wit-component's own idea of the core functions, against the one that the exports are written from.
#[test]
fn core_signatures_are_those_of_wit_component() {
    let (resolve, world) = decoded::<Torture>();
    let Some(WorldItem::Interface { id, .. }) = resolve.worlds[world].exports.values().next()
    else {
        panic!("the interface is exported");
    };
    let functions = &resolve.interfaces[*id].functions;
    for function in Torture::INTERFACE.functions {
        let expected = resolve.wasm_signature(AbiVariant::GuestExport, &functions[function.name]);
        let expected: Vec<u8> = expected.params.iter().map(core_kind).collect();
        let flats = function.params.iter().map(|(_, ty)| glue::flat(Some(ty)));
        let kinds: Vec<u8> = flats
            .flat_map(|flat| flat.kinds.into_iter().take(flat.len))
            .collect();
        assert_eq!(kinds, expected, "{}", function.name);
    }
}

fn core_kind(ty: &WasmType) -> u8 {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => 1,
        WasmType::I64 | WasmType::PointerOrI64 => 2,
        WasmType::F32 => 3,
        WasmType::F64 => 4,
    }
}

/// Sizes, too, on a machine whose addresses are as wide as those of this test.
#[test]
fn layouts_are_those_of_wit_component() {
    let (resolve, _) = decoded::<Torture>();
    let mut sizes = SizeAlign::default();
    sizes.fill(&resolve);
    let types: [&'static Type; 5] = [
        apart::Item::TYPE,
        apart::Color::TYPE,
        Order::TYPE,
        Shape::TYPE,
        Rights::TYPE,
    ];
    for ty in types {
        let Type::Named(named) = ty else {
            panic!("it has a name");
        };
        let (id, _) = resolve
            .types
            .iter()
            .find(|(_, found)| found.name.as_deref() == Some(named.name))
            .unwrap();
        let id = wit_parser::Type::Id(id);
        let layout = glue::layout(ty);
        assert_eq!(layout.size, sizes.size(&id).size_wasm64(), "{}", named.name);
        assert_eq!(
            layout.align,
            sizes.align(&id).align_wasm64(),
            "{}",
            named.name
        );
    }
}

#[test]
fn values_come_back_as_they_went() {
    let item = |tag: Option<&str>| apart::Item {
        id: u64::MAX,
        name: "Ähre".to_owned(),
        tag: tag.map(str::to_owned),
    };
    let order = Order {
        customer: String::new(),
        items: vec![item(None), item(Some("")), item(Some("x"))],
        paid: Some(apart::Color::DarkGreen),
        r#type: 7,
        total: 1 << 40,
    };
    assert_eq!(there_and_back(order.clone()), order);
    let shapes = vec![
        Shape::Nothing,
        Shape::Circle(-1.5),
        Shape::Named(item(Some("t"))),
        Shape::Many(vec!["a".to_owned(), String::new()]),
        Shape::Pair((9, i64::MIN)),
        Shape::Small(f32::MAX),
    ];
    for shape in &shapes {
        assert_eq!(there_and_back(shape.clone()), *shape);
    }
    assert_eq!(there_and_back(shapes.clone()), shapes);
    let rights = Rights {
        read: true,
        write: false,
        look_around: true,
    };
    assert_eq!(there_and_back(rights), rights);
    let numbers = (
        i8::MIN,
        i16::MIN,
        i32::MIN,
        i64::MIN,
        true,
        'ß',
        0.5_f32,
        0.25_f64,
    );
    assert_eq!(there_and_back(numbers), numbers);
    for nested in [None, Some(None), Some(Some(3_u32))] {
        assert_eq!(there_and_back(nested), nested);
    }
    type Outcomes = Vec<Result<(), Result<u8, ()>>>;
    let outcomes: Outcomes = vec![Ok(()), Err(Ok(3)), Err(Err(()))];
    assert_eq!(there_and_back(outcomes.clone()), outcomes);
    assert_eq!(there_and_back(Vec::<u64>::new()), Vec::<u64>::new());
    there_and_back(());
}

#[test]
fn a_stream_gives_a_test_what_its_producer_sends() {
    let words = Torture::words("a few words".to_owned());
    let words = words.now_or_never().unwrap().collect().now_or_never();
    assert_eq!(words.unwrap(), ["a", "few", "words"]);
}

granary_sdk::grain!(Torture);
