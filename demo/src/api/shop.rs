//! The shop: products, reviews, cart, orders, partners.

use serde_json::{Value, json};

use super::call::{Call, Reply, amount, problem, text};
use super::state::{State, partner};
use crate::world::{self, PRODUCTS, Product};

pub(super) fn products(call: &Call) -> Reply {
    let wanted = call.query("category");
    let items: Vec<Value> = (0..PRODUCTS)
        .map(Product)
        .filter(|product| wanted.is_none_or(|category| product.category() == category))
        .map(shown)
        .collect();
    Reply::json(200, call.page(&items))
}

pub(super) fn product(call: &Call) -> Result<Reply, Reply> {
    let product = known_product(call)?;
    let mut value = shown(product);
    value["description"] = format!("A {} that lasts.", product.name()).into();
    value["in_stock"] = (product.0 * 13 % 40).into();
    Ok(Reply::json(200, value))
}

pub(super) fn reviews(state: &State, call: &Call) -> Result<Reply, Reply> {
    let product = known_product(call)?;
    let items = state.tables().reviews.of(product.0);
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn create_review(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let product = known_product(call)?;
    let body = call.json()?;
    let stars = amount(&body, "stars")?;
    if stars > 5 {
        return Err(problem(400, "five stars at most"));
    }
    let words = text(&body, "text")?.to_owned();
    let mut tables = state.tables();
    let id = tables.number();
    let review = json!({"id": id, "stars": stars, "text": words, "author": user.name()});
    tables.reviews.put(product.0, &id.to_string(), review.clone());
    Ok(Reply::json(201, review))
}

pub(super) fn search(call: &Call) -> Result<Reply, Reply> {
    let words = call.query("q").filter(|words| !words.is_empty()).ok_or_else(|| problem(400, "search for what?"))?;
    let found = (0..PRODUCTS).map(Product).filter(|product| product.name().contains(words));
    let items: Vec<Value> = found.map(shown).collect();
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn categories() -> Reply {
    Reply::json(200, json!({"items": world::categories()}))
}

pub(super) fn cart(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    Ok(Reply::json(200, json!({"items": state.tables().carts.of(user.0)})))
}

pub(super) fn add_to_cart(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let body = call.json()?;
    let product = Product::find(text(&body, "sku")?).ok_or_else(|| problem(404, "no such product"))?;
    let quantity = amount(&body, "quantity")?;
    let mut tables = state.tables();
    let id = (tables.number() + 300_000).to_string();
    let item = json!({"id": id, "sku": product.sku(), "quantity": quantity, "price": product.price_cents()});
    tables.carts.put(user.0, &id, item.clone());
    Ok(Reply::json(201, item))
}

pub(super) fn change_cart_item(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let quantity = amount(&call.json()?, "quantity")?;
    let id = call.param("itemId");
    let mut tables = state.tables();
    let found = tables.carts.find(id).filter(|(owner, _)| *owner == user.0);
    let mut item = found.map(|(_, item)| item.clone()).ok_or_else(|| problem(404, "no such item"))?;
    item["quantity"] = quantity.into();
    tables.carts.put(user.0, id, item.clone());
    Ok(Reply::json(200, item))
}

pub(super) fn remove_from_cart(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let id = call.param("itemId");
    let mut tables = state.tables();
    match tables.carts.find(id) {
        Some((owner, _)) if owner == user.0 => {
            tables.carts.remove(id);
            Ok(Reply::empty(204))
        }
        _ => Err(problem(404, "no such item")),
    }
}

pub(super) fn orders(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let items = state.tables().orders.of(user.0);
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn create_order(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let body = call.json()?;
    text(&body, "payment")?;
    let mut tables = state.tables();
    let lines = tables.carts.take_all(user.0);
    if lines.is_empty() {
        return Err(problem(409, "the cart is empty"));
    }
    let cost =
        |line: &Value| line["price"].as_u64().unwrap_or(0).saturating_mul(line["quantity"].as_u64().unwrap_or(1));
    let total: u64 = lines.iter().map(cost).fold(0, u64::saturating_add);
    let id = tables.order_id();
    let order = json!({"id": id, "status": "placed", "lines": lines, "total": total});
    tables.orders.put(user.0, &id, order.clone());
    Ok(Reply::json(201, order).with_header("location", format!("/orders/{id}")))
}

pub(super) fn order(state: &State, call: &Call) -> Result<Reply, Reply> {
    own_order(state, call).map(|(_, order)| Reply::json(200, order))
}

pub(super) fn cancel_order(state: &State, call: &Call) -> Result<Reply, Reply> {
    let (owner, mut order) = own_order(state, call)?;
    if order["status"] != "placed" {
        return Err(problem(409, "it is on its way already"));
    }
    order["status"] = "cancelled".into();
    state.tables().orders.put(owner, call.param("orderId"), order.clone());
    Ok(Reply::json(200, order))
}

pub(super) fn invoice(state: &State, call: &Call) -> Result<Reply, Reply> {
    let (_, order) = own_order(state, call)?;
    let text = format!("%PDF-1.4\n% invoice for {} over {}\n%%EOF\n", call.param("orderId"), order["total"]);
    let name = format!("attachment; filename=\"{}.pdf\"", call.param("orderId"));
    Ok(Reply::bytes("application/pdf", text.into_bytes()).with_header("content-disposition", name))
}

pub(super) fn partner_prices(call: &Call) -> Result<Reply, Reply> {
    partner(call)?;
    let prices =
        (0..PRODUCTS).map(Product).map(|product| json!({"sku": product.sku(), "price": product.price_cents()}));
    let items: Vec<Value> = prices.collect();
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn partner_stock(call: &Call) -> Result<Reply, Reply> {
    partner(call)?;
    let body = call.json()?;
    let lines = body.get("lines").and_then(Value::as_array).ok_or_else(|| problem(400, "`lines` is missing"))?;
    Ok(Reply::json(202, json!({"accepted": lines.len()})))
}

fn known_product(call: &Call) -> Result<Product, Reply> {
    Product::find(call.param("sku")).ok_or_else(|| problem(404, "no such product"))
}

fn own_order(state: &State, call: &Call) -> Result<(u64, Value), Reply> {
    let user = state.caller(call)?;
    match state.tables().orders.find(call.param("orderId")) {
        Some((owner, order)) if owner == user.0 => Ok((owner, order.clone())),
        Some(_) => Err(problem(403, "this is not your order")),
        None => Err(problem(404, "no such order")),
    }
}

fn shown(product: Product) -> Value {
    json!({"sku": product.sku(), "name": product.name(), "category": product.category(), "price": product.price_cents()})
}
