"""From outcomes to predictors. Heavy libraries are imported where fitting begins."""
