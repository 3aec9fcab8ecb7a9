"""Images: made of the store's layers, brought to a registry, or written as a recipe for others' builders."""
