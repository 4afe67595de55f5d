"""The tables of the data file, declared once."""

from volens.store.schema.schema_answers import kept_answer as kept_answer
from volens.store.schema.schema_factors import second_factor as second_factor
from volens.store.schema.schema_senders import external_id as external_id
