// Turns a row of the orders table into the event that accounting and the notification service read.
function transform(row) {
  return {
    event: 'order.paid',
    order: row.id,
    customer: row.customer_id,
    total: { amount: row.total, currency: row.currency || 'EUR' },
    paid_at: new Date(row.paid_at).toISOString(),
  };
}
