"""The marketplaces' servers: REST APIs, the pages of discovery, and the control."""
