// A model that Python sends to: the trait `name` of a widget tells which one.
function sent(model, name) {
  return model.widget_manager.get_model(model.get(name).replace("IPY_MODEL_", ""));
}
