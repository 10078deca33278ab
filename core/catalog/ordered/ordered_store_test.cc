#include "core/catalog/ordered_store.h"
